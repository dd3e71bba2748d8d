//! LangChain's human-in-the-loop shape, as LangGraph's `interrupt` and the agent inbox write and read it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{CreateAction, CreateIntervention, Decision, DecisionKind, Intervention, Status};

/// What a graph asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HumanInterrupt {
    /// What waits to be run.
    pub action_request: ActionRequest,
    /// The ways to decide.
    pub config: HumanInterruptConfig,
    /// What a pilot has to know: at most 2000 characters.
    #[serde(default)]
    pub description: Option<String>,
}

/// An action and its arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActionRequest {
    /// The action's name: 1 to 255 characters, not only white space.
    #[schema(min_length = 1, max_length = 255, pattern = r"\S")]
    pub action: String,
    /// Its arguments.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub args: Map<String, Value>,
}

/// The ways to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HumanInterruptConfig {
    /// As it is: `approve`.
    #[serde(default)]
    pub allow_accept: bool,
    /// With other arguments: `edit`.
    #[serde(default)]
    pub allow_edit: bool,
    /// A text instead: `respond`.
    #[serde(default)]
    pub allow_respond: bool,
    /// Not at all: `reject`.
    #[serde(default)]
    pub allow_ignore: bool,
}

impl HumanInterruptConfig {
    fn allow(self) -> Vec<DecisionKind> {
        let ways = [
            (self.allow_accept, DecisionKind::Approve),
            (self.allow_ignore, DecisionKind::Reject),
            (self.allow_edit, DecisionKind::Edit),
            (self.allow_respond, DecisionKind::Respond),
        ];
        ways.into_iter().filter_map(|(allowed, kind)| allowed.then_some(kind)).collect()
    }
}

impl From<HumanInterrupt> for CreateIntervention {
    fn from(interrupt: HumanInterrupt) -> Self {
        let ActionRequest { action, args } = interrupt.action_request;
        // A name longer than a title is refused as the action's name, not as a title that nobody wrote.
        let title = action.chars().take(super::TITLE_CHARS).collect::<String>();
        Self {
            description: interrupt.description.unwrap_or_default(),
            allow: interrupt.config.allow(),
            action: Some(CreateAction { name: action, args }),
            ..Self::new(title)
        }
    }
}

/// What a graph is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HumanResponse {
    /// What was decided.
    #[serde(rename = "type")]
    pub kind: HumanResponseType,
    /// The action as it may run for `accept` and `edit`, the text for `response`, and `null` for `ignore`.
    pub args: Option<HumanResponseArgs>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HumanResponseType {
    /// It may run as it is.
    Accept,
    /// It may run with other arguments.
    Edit,
    /// A text instead.
    Response,
    /// It must not run.
    Ignore,
}

/// What comes with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum HumanResponseArgs {
    /// The text of a response.
    Text(String),
    /// The action as it may run.
    Action(ActionRequest),
}

impl HumanResponse {
    const IGNORE: Self = Self { kind: HumanResponseType::Ignore, args: None };

    /// The answer to a request; none while it waits for a decision. What expired, or was closed without a decision, is
    /// ignored: it must not run.
    ///
    /// `accept` carries the action, as the agent inbox sends it; graphs that expect `null` there do not look.
    pub fn of(request: &Intervention) -> Option<Self> {
        if request.status.is_open() {
            return None;
        }
        let decided = request.decision.as_ref().filter(|_| request.status != Status::Expired);
        Some(decided.map_or(Self::IGNORE, |decision| Self::of_decision(request, decision)))
    }

    fn of_decision(request: &Intervention, decision: &Decision) -> Self {
        let action = || {
            let action = request.action.as_ref()?;
            let args = decision.args.as_ref().unwrap_or(&action.args).clone();
            Some(HumanResponseArgs::Action(ActionRequest { action: action.name.clone(), args }))
        };
        match decision.kind {
            DecisionKind::Approve => Self { kind: HumanResponseType::Accept, args: action() },
            DecisionKind::Edit => Self { kind: HumanResponseType::Edit, args: action() },
            DecisionKind::Respond => Self {
                kind: HumanResponseType::Response,
                args: Some(HumanResponseArgs::Text(decision.response.clone().unwrap_or_default())),
            },
            DecisionKind::Reject => Self::IGNORE,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_response_is_what_graphs_expect() {
        let args = Map::from_iter([("command".to_owned(), json!("ls"))]);
        let action = HumanResponseArgs::Action(ActionRequest { action: "run".to_owned(), args });
        let edit = HumanResponse { kind: HumanResponseType::Edit, args: Some(action) };
        let text = HumanResponseArgs::Text("later".to_owned());
        let response = HumanResponse { kind: HumanResponseType::Response, args: Some(text) };
        let written = serde_json::to_value([edit, response, HumanResponse::IGNORE]).expect("JSON");
        let expected = json!([
            {"type": "edit", "args": {"action": "run", "args": {"command": "ls"}}},
            {"type": "response", "args": "later"},
            {"type": "ignore", "args": null},
        ]);
        assert_eq!(written, expected);
    }
}
