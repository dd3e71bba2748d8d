//! What a request lets a model use, whichever wire it is in: the caller's own tools, which are but a part of the answer,
//! and those that the provider runs, which look at the world or act in it.

use serde_json::{Map, Value};

/// Lists of tools.
pub(crate) const LISTS: [&str; 3] = ["tools", "functions", "mcp_servers"];
/// Fields of a request that let the provider act, beside its tools: whatever they say.
pub(crate) const ACTING: [&str; 4] = ["container", "mcp_servers", "plugins", "web_search_options"];
/// Fields of a tool that say which one it is, or where.
const NAMES: [&str; 7] = ["name", "server_label", "mcp_server_name", "id", "connector_id", "server_url", "url"];

/// Whether a tool of this type is the caller's to run.
pub(crate) fn is_callers(kind: Option<&str>) -> bool {
    matches!(kind, None | Some("function" | "custom"))
}

/// The names of all that the model may use: of tools, of what is allowed of a server's, and, of what has no name of its
/// own, its type or field.
pub(crate) fn names(request: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    for list in LISTS {
        add_list(request.get(list), &mut names);
    }
    for field in ACTING.iter().filter(|field| request.get(**field).is_some_and(|value| !value.is_null())) {
        names.push((*field).to_owned());
    }
    add_list(request.get("plugins"), &mut names);
    // Tools that were found, or that a server has said it has, come in what is said.
    for said in ["input", "messages"] {
        for item in request.get(said).and_then(Value::as_array).into_iter().flatten() {
            add_list(item.get("tools"), &mut names);
        }
    }
    names
}

fn add_list(list: Option<&Value>, to: &mut Vec<String>) {
    for tool in list.and_then(Value::as_array).into_iter().flatten() {
        let own = NAMES.iter().map(|name| tool.get(*name));
        let inner = ["function", "custom"].map(|kind| tool.get(kind).and_then(|inner| inner.get("name")));
        let kind = tool.get("type").filter(|kind| !is_callers(kind.as_str()));
        let names = own.chain(inner).chain([kind]).flatten();
        to.extend(names.filter_map(Value::as_str).map(str::to_owned));
        let allowed = [tool.get("allowed_tools"), tool.pointer("/tool_configuration/allowed_tools")];
        allowed.into_iter().flatten().for_each(|allowed| add_allowed(allowed, to));
        to.extend(tool.get("configs").and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned());
        add_list(tool.get("tools"), to);
    }
}

/// Those of a server's tools that are allowed: a list, or a filter that has one.
fn add_allowed(allowed: &Value, to: &mut Vec<String>) {
    let list = allowed.get("tool_names").unwrap_or(allowed);
    to.extend(list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(request: &Value) -> Vec<String> {
        names(request.as_object().expect("an object"))
    }

    #[test]
    fn tools_have_names_in_every_wire() {
        let request = json!({
            "tools": [
                {"type": "function", "function": {"name": "chat"}},
                {"type": "custom", "custom": {"name": "grammar"}},
                {"type": "function", "name": "response"},
                {"name": "message", "input_schema": {}},
                {"type": "web_search"},
                {"type": "mcp", "server_label": "stripe"},
                {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "refund"}]},
            ],
            "functions": [{"name": "old"}],
        });
        let expected = [
            "chat",
            "grammar",
            "response",
            "message",
            "web_search",
            "stripe",
            "mcp",
            "crm",
            "namespace",
            "refund",
            "old",
        ];
        assert_eq!(of(&request), expected);
    }

    #[test]
    fn so_has_what_the_provider_runs() {
        for (request, expected) in [
            (json!({"web_search_options": {}}), &["web_search_options"][..]),
            (json!({"web_search_options": null}), &[]),
            (json!({"plugins": [{"id": "web"}]}), &["plugins", "web"]),
            (json!({"container": "c"}), &["container"]),
            (
                json!({"mcp_servers": [{"type": "url", "name": "bank", "url": "https://b",
                    "tool_configuration": {"allowed_tools": ["pay"]}}]}),
                &["bank", "https://b", "url", "pay", "mcp_servers"],
            ),
            (
                json!({"tools": [{"type": "mcp", "server_url": "https://b", "allowed_tools": {"tool_names": ["pay"]}}]}),
                &["https://b", "mcp", "pay"],
            ),
            (
                json!({"tools": [{"type": "mcp_toolset", "mcp_server_name": "bank", "configs": {"pay": {}}}]}),
                &["bank", "mcp_toolset", "pay"],
            ),
            (
                json!({"input": [{"type": "tool_search_output", "tools": [{"type": "function", "name": "pay"}]}]}),
                &["pay"],
            ),
        ] {
            assert_eq!(of(&request), expected, "{request}");
        }
    }
}
