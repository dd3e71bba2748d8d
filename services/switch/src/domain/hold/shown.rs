//! What a pilot is shown of a held request, and what tells it from every other request.

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use vx11_contracts::intervention::ARGS_BYTES;

use super::content::{SAID, first_new};
use super::data::{has_own_names, is_data};
use crate::domain::tools;

/// Fields of tools that hold what lets the provider in elsewhere. No pilot needs it.
const SECRETS: [&str; 6] = ["access_token", "api_key", "authorization", "authorization_token", "headers", "password"];
/// What stands in their place.
const LEFT_OUT: &str = "[left out]";
/// Longest value that is shown of a request that is too large, besides what is new in it.
const OLD_BYTES: usize = 4 * 1024;
/// Data is shown as it is where it has no more bytes.
const SHORTEST_DATA: usize = 1024;

/// What a pilot is shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    /// The request, or what is new in it.
    pub(crate) args: Map<String, Value>,
    /// Whether it is the whole request, so that it can be edited.
    pub(crate) is_whole: bool,
}

/// What is new in a request does not fit into an intervention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unshowable;

/// `request` as a pilot is shown it: whole where it fits, without what lets somebody in. Of one that is too large all
/// that is new is shown, and of the rest that it is there.
///
/// # Errors
/// When even what is new is too large: nobody approves what nobody could read.
pub(crate) fn show(request: &Map<String, Value>) -> Result<Shown, Unshowable> {
    let mut args = request.clone();
    let mut is_whole = true;
    for list in tools::LISTS {
        is_whole &= !args.get_mut(list).is_some_and(leave_out_secrets);
    }
    if fits(&args) {
        return Ok(Shown { args, is_whole });
    }
    let args = excerpt(args, request);
    if fits(&args) { Ok(Shown { args, is_whole: false }) } else { Err(Unshowable) }
}

/// What no other request has: the digest of `request` and of what is asked `beside` it.
pub(crate) fn fingerprint(beside: &[&str], request: &Map<String, Value>) -> String {
    hex(json!([beside, request]).to_string().as_bytes())
}

/// The body of the request that a pilot has edited. How it is to be answered stays its caller's to say, in `stream`.
pub(crate) fn edited_body(mut args: Map<String, Value>, stream: Option<&Value>) -> Vec<u8> {
    match stream {
        Some(stream) => args.insert("stream".to_owned(), stream.clone()),
        None => args.remove("stream"),
    };
    Value::Object(args).to_string().into_bytes()
}

fn fits(args: &Map<String, Value>) -> bool {
    serde_json::to_vec(args).is_ok_and(|json| json.len() <= ARGS_BYTES)
}

/// Leaves out what stands beside the name of a tool, and not what a parameter of it is called; whether there was any.
fn leave_out_secrets(list: &mut Value) -> bool {
    let mut any = false;
    for tool in list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        for (name, value) in &mut *tool {
            if SECRETS.contains(&name.as_str()) && !value.is_null() {
                *value = LEFT_OUT.into();
                any = true;
            }
        }
        any |= tool.get_mut("tools").is_some_and(leave_out_secrets);
    }
    any
}

fn excerpt(mut args: Map<String, Value>, request: &Map<String, Value>) -> Map<String, Value> {
    let names = tools::names(request);
    for list in tools::LISTS {
        args.remove(list);
    }
    for (name, value) in &mut args {
        match value {
            Value::Array(items) if SAID.contains(&name.as_str()) => {
                items.drain(..first_new(items));
                items.iter_mut().for_each(leave_out_data);
            }
            _ if SAID.contains(&name.as_str()) => {}
            value => {
                let bytes = value.to_string().len();
                if bytes > OLD_BYTES {
                    *value = format!("[{bytes} bytes left out]").into();
                }
            }
        }
    }
    if !names.is_empty() {
        args.insert("tools".to_owned(), names.into());
    }
    let whole = Value::Object(request.clone()).to_string();
    let left_out = json!({ "bytes_of_all": whole.len(), "sha256_of_all": hex(whole.as_bytes()) });
    args.insert("left_out".to_owned(), left_out);
    args
}

/// Leaves out what is no text, such as images.
fn leave_out_data(within: &mut Value) {
    match within {
        Value::Array(items) => items.iter_mut().for_each(leave_out_data),
        Value::Object(members) => {
            let is_large = |value: &Value| value.as_str().is_some_and(|text| text.len() > SHORTEST_DATA);
            let data = members.iter().filter(|(name, value)| is_large(value) && is_data(name, members));
            let data: Vec<String> = data.map(|(name, _)| name.clone()).collect();
            for (name, value) in members {
                match value {
                    Value::String(text) if data.contains(name) => {
                        *value = format!("[{} bytes, sha256 {}]", text.len(), hex(text.as_bytes())).into();
                    }
                    value if has_own_names(name, value) => {}
                    value => leave_out_data(value),
                }
            }
        }
        _ => {}
    }
}

fn hex(bytes: &[u8]) -> String {
    let hex = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default());
    digest(&SHA256, bytes).as_ref().iter().flat_map(hex).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("no object: {other}"),
        }
    }

    #[test]
    fn a_request_that_fits_is_shown_as_it_is() {
        let request = object(json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}));
        assert_eq!(show(&request), Ok(Shown { args: request.clone(), is_whole: true }));
    }

    #[test]
    fn what_lets_in_elsewhere_is_not_shown_and_so_cannot_be_edited() {
        let mcp = json!({"type": "mcp", "server_label": "s", "authorization": "Bearer x", "headers": {"k": "v"}});
        let shown = show(&object(json!({"model": "m", "input": "hi", "tools": [mcp]}))).expect("fits");
        let expected =
            json!({"type": "mcp", "server_label": "s", "authorization": "[left out]", "headers": "[left out]"});
        assert_eq!((&shown.args["tools"][0], shown.is_whole), (&expected, false));
    }

    #[test]
    fn a_parameter_is_shown_whatever_it_is_called() {
        let schema = json!({"properties": {"password": {"type": "string"}, "headers": {"type": "object"}}});
        let tool = json!({"type": "function", "function": {"name": "login", "parameters": schema}});
        let request = object(json!({"model": "m", "input": "hi", "tools": [tool]}));
        assert_eq!(show(&request), Ok(Shown { args: request.clone(), is_whole: true }));
    }

    #[test]
    fn words_are_shown_however_they_are_written_or_nothing_is_asked() {
        let words = "转账给鲍勃".repeat(ARGS_BYTES / 15);
        let document = json!({"type": "text", "data": "pay".repeat(ARGS_BYTES)});
        let call = json!({"type": "tool_use", "name": "pay", "input": {"data": "A".repeat(ARGS_BYTES)}});
        for said in [json!(words), json!([document]), json!([call])] {
            let request = json!({"model": "m", "messages": [{"role": "user", "content": said}]});
            assert_eq!(show(&object(request)), Err(Unshowable));
        }
        let address = json!({"image_url": {"url": format!("data:text/plain,{}", "pay".repeat(ARGS_BYTES))}});
        let request = json!({"model": "m", "messages": [{"role": "user", "content": [address]}]});
        assert_eq!(show(&object(request)), Err(Unshowable));
        let suffix = json!({"model": "m", "prompt": "hi", "suffix": "pay ".repeat(ARGS_BYTES / 4)});
        assert_eq!(show(&object(suffix)), Err(Unshowable));
    }

    #[test]
    fn of_a_large_request_all_that_is_new_is_shown() {
        let old = "old ".repeat(ARGS_BYTES / 4);
        let image = format!("data:image/png;base64,{}", "A".repeat(ARGS_BYTES));
        let request = object(json!({
            "model": "m",
            "system": "s".repeat(OLD_BYTES),
            "tools": [{"type": "function", "function": {"name": "pay", "description": old}}],
            "messages": [
                {"role": "user", "content": old},
                {"role": "assistant", "content": "yes"},
                {"role": "user", "content": [{"type": "text", "text": "pay them"}, {"image_url": {"url": image}}]},
            ],
        }));
        let Shown { args, is_whole } = show(&request).expect("fits");
        assert!(!is_whole);
        assert_eq!((&args["model"], &args["tools"]), (&json!("m"), &json!(["pay"])));
        assert_eq!(args["messages"].as_array().expect("a list").len(), 1);
        assert_eq!(args["messages"][0]["content"][0]["text"], "pay them");
        let image = args["messages"][0]["content"][1]["image_url"]["url"].as_str().expect("a text");
        assert!(image.starts_with(&format!("[{} bytes, sha256 ", ARGS_BYTES + 22)), "{image}");
        assert_eq!(args["left_out"]["sha256_of_all"].as_str().expect("a digest").len(), 64);
        let new = "new ".repeat(ARGS_BYTES / 4);
        assert_eq!(show(&object(json!({"model": "m", "input": new}))), Err(Unshowable));
    }

    #[test]
    fn another_caller_or_another_word_is_another_request() {
        let print = |beside: &[&str], body: Value| fingerprint(beside, &object(body));
        let first = print(&["alice"], json!({"a": 1, "b": 2}));
        assert_eq!(first, print(&["alice"], json!({"b": 2, "a": 1})), "whichever stands first");
        assert_eq!(first.len(), 64);
        for other in [print(&["bob"], json!({"a": 1, "b": 2})), print(&["alice"], json!({"a": 1, "b": 3}))] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn an_edit_does_not_change_how_the_caller_is_answered() {
        let edited = |stream: Option<Value>| {
            let body = edited_body(object(json!({"model": "n", "stream": true})), stream.as_ref());
            serde_json::from_slice::<Value>(&body).expect("JSON")
        };
        assert_eq!(edited(Some(json!(false))), json!({"model": "n", "stream": false}));
        assert_eq!(edited(None), json!({"model": "n"}));
    }
}
