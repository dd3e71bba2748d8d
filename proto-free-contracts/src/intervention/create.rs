//! The request body: what an agent, a plan or a person asks to have decided.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    AnswerFormat, DecisionKind, EscalationStep, HumanInterrupt, InterventionType, InvalidField, OnTimeout, Priority,
    Role, limits,
};

/// `POST /operator/api/interventions` in the contract's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateIntervention {
    /// The id; made where absent. One that exists already is 409.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    pub request_id: Option<String>,
    /// The unit of work that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    pub uow_id: Option<String>,
    /// What it is about; `approval` where absent.
    #[serde(default)]
    pub intervention_type: InterventionType,
    /// How urgent it is; `normal` where absent.
    #[serde(default)]
    pub priority: Priority,
    /// What a pilot reads first: 1 to 255 characters.
    #[schema(min_length = 1, max_length = 255)]
    pub title: String,
    /// What a pilot has to know: at most 2000 characters.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub description: String,
    /// Facts for the pilot; at most 64 KiB of JSON.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub context: Map<String, Value>,
    /// Seconds until it expires: 3600 where absent, never for 0 or `null`, and already expired where negative.
    #[serde(default = "default_expiry")]
    #[schema(minimum = -316_224_000, maximum = 316_224_000, default = 3600)]
    pub expires_in_seconds: Option<i64>,
    /// What waits to be run; absent for a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<CreateAction>,
    /// The ways to decide: approve and reject where absent.
    #[serde(default = "default_allow")]
    #[schema(min_items = 1, max_items = 4)]
    pub allow: Vec<DecisionKind>,
    /// The least role that decides; `OPERATOR` where absent. A `VIEWER` never decides.
    #[serde(default = "default_role")]
    pub required_role: Role,
    /// The pilot that it is meant for. Others may decide it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128)]
    pub assigned_to: Option<String>,
    /// Where the decision is sent, signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, format = Uri)]
    pub callback_url: Option<String>,
    /// What becomes of it when nobody decides in time; `reject` where absent.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// With `escalate`: who is asked, step by step. Any ADMIN where empty. At most 8 steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 8)]
    pub escalation: Vec<EscalationStep>,
}

/// An action as it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAction {
    /// The tool's or command's name: 1 to 255 characters.
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// Its arguments; at most 64 KiB of JSON.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub args: Map<String, Value>,
}

const fn default_expiry() -> Option<i64> {
    Some(super::DEFAULT_EXPIRES_IN_SECONDS)
}

fn default_allow() -> Vec<DecisionKind> {
    vec![DecisionKind::Approve, DecisionKind::Reject]
}

const fn default_role() -> Role {
    Role::Operator
}

impl CreateIntervention {
    /// A request with a title and every default.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            request_id: None,
            uow_id: None,
            intervention_type: InterventionType::default(),
            priority: Priority::default(),
            title: title.into(),
            description: String::new(),
            context: Map::new(),
            expires_in_seconds: default_expiry(),
            action: None,
            allow: default_allow(),
            required_role: default_role(),
            assigned_to: None,
            callback_url: None,
            on_timeout: OnTimeout::default(),
            escalation: Vec::new(),
        }
    }

    /// Whether every field is within its limits and they fit together. Where `callback_url` leads is not looked at.
    ///
    /// # Errors
    /// The first field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        limits::filled("title", &self.title, super::TITLE_CHARS)?;
        limits::at_most("description", &self.description, super::DESCRIPTION_CHARS)?;
        limits::json("context", &self.context, super::CONTEXT_BYTES)?;
        for (field, id) in [("request_id", &self.request_id), ("uow_id", &self.uow_id)] {
            id.as_deref().map_or(Ok(()), |id| limits::id(field, id))?;
        }
        if let Some(pilot) = &self.assigned_to {
            limits::filled("assigned_to", pilot, limits::ID_CHARS)?;
        }
        if let Some(url) = &self.callback_url {
            limits::filled("callback_url", url, limits::URL_CHARS)?;
        }
        let furthest = super::MAX_EXPIRES_IN_SECONDS;
        if self.expires_in_seconds.is_some_and(|seconds| !(-furthest..=furthest).contains(&seconds)) {
            return Err(InvalidField::new("expires_in_seconds", format!("-{furthest} to {furthest} seconds")));
        }
        self.validate_decisions()?;
        self.validate_timeout()?;
        self.validate_escalation()
    }

    fn validate_decisions(&self) -> Result<(), InvalidField> {
        if self.allow.is_empty() || self.allow.len() > DecisionKind::ALL.len() {
            return Err(InvalidField::new("allow", "1 to 4 of approve, reject, edit and respond"));
        }
        let Some(action) = &self.action else {
            return if self.allow.contains(&DecisionKind::Edit) {
                Err(InvalidField::new("allow", "edit needs an action whose arguments can be edited"))
            } else {
                Ok(())
            };
        };
        limits::filled("action.name", &action.name, super::ACTION_NAME_CHARS)?;
        limits::json("action.args", &action.args, super::ARGS_BYTES)
    }

    // An approval that nobody gives must not stand in for one that only an admin may give, nor be there at once.
    fn validate_timeout(&self) -> Result<(), InvalidField> {
        if self.on_timeout != OnTimeout::Approve {
            return Ok(());
        }
        if self.required_role.max(self.intervention_type.least_role()) > Role::Operator {
            return Err(InvalidField::new("on_timeout", "what only an ADMIN may approve is never approved by time"));
        }
        if self.expires_in_seconds.is_some_and(|seconds| seconds < 0) {
            return Err(InvalidField::new("on_timeout", "what is expired when it is made is not approved by that"));
        }
        if !self.allow.contains(&DecisionKind::Approve) {
            return Err(InvalidField::new("on_timeout", "approve is not among the ways to decide in `allow`"));
        }
        Ok(())
    }

    fn validate_escalation(&self) -> Result<(), InvalidField> {
        if self.escalation.len() > super::ESCALATION_STEPS {
            return Err(InvalidField::new("escalation", format!("at most {} steps", super::ESCALATION_STEPS)));
        }
        if !self.escalation.is_empty() && self.on_timeout != OnTimeout::Escalate {
            return Err(InvalidField::new("escalation", "needs `on_timeout` to be `escalate`"));
        }
        self.escalation.iter().enumerate().try_for_each(|(n, step)| step.validate(&format!("escalation[{n}]")))
    }
}

/// The body of `POST /operator/api/interventions`: the contract's shape, LangChain's, or a list of one of LangChain's.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum CreateBody {
    /// The contract's shape.
    Request(Box<CreateIntervention>),
    /// LangChain's shape.
    Interrupt(HumanInterrupt),
    /// LangChain's shape, as its agent inbox wants it.
    List([HumanInterrupt; 1]),
}

impl CreateBody {
    /// What is asked, and in which shape the answer goes.
    pub fn into_parts(self) -> (CreateIntervention, AnswerFormat) {
        match self {
            Self::Request(request) => (*request, AnswerFormat::Vx11),
            Self::Interrupt(interrupt) => (interrupt.into(), AnswerFormat::Langchain),
            Self::List([interrupt]) => (interrupt.into(), AnswerFormat::LangchainList),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<CreateIntervention, String> {
        serde_json::from_value(body).map_err(|error| error.to_string())
    }

    fn fault(body: Value) -> String {
        let request = read(body).expect("readable");
        request.validate().expect_err("must be refused").field
    }

    #[test]
    fn a_title_is_enough_and_what_is_absent_has_its_default() {
        let request = read(json!({"title": "Deploy?"})).expect("readable");
        assert_eq!(request, CreateIntervention::new("Deploy?"));
        assert_eq!(request.validate(), Ok(()));
        assert_eq!(CreateBody::Request(Box::new(request.clone())).into_parts(), (request.clone(), AnswerFormat::Vx11));
        assert_eq!(request.expires_in_seconds, Some(3600));
        let never = read(json!({"title": "t", "expires_in_seconds": null})).expect("readable");
        assert_eq!(never.expires_in_seconds, None);
    }

    #[test]
    fn langchains_shape_is_a_request_alone_or_in_a_list_of_one() {
        let interrupt = json!({
            "action_request": {"action": "run", "args": {"command": "ls"}},
            "config": {"allow_accept": true, "allow_edit": true, "allow_respond": true, "allow_ignore": false},
            "description": "look",
        });
        let interrupt: HumanInterrupt = serde_json::from_value(interrupt).expect("readable");
        let (one, format) = CreateBody::Interrupt(interrupt.clone()).into_parts();
        assert_eq!(format, AnswerFormat::Langchain);
        assert_eq!(one.allow, [DecisionKind::Approve, DecisionKind::Edit, DecisionKind::Respond]);
        assert_eq!((one.title.as_str(), one.description.as_str(), one.validate()), ("run", "look", Ok(())));
        assert_eq!(CreateBody::List([interrupt]).into_parts(), (one, AnswerFormat::LangchainList));
    }

    #[test]
    fn a_field_that_does_not_fit_is_named() {
        assert!(read(json!({"title": "t", "titel": "t"})).expect_err("unknown").contains("unknown field `titel`"));
        assert_eq!(fault(json!({"title": "  "})), "title");
        assert_eq!(fault(json!({"title": "é".repeat(256)})), "title");
        assert_eq!(fault(json!({"title": "t", "description": "x".repeat(2001)})), "description");
        assert_eq!(fault(json!({"title": "t", "context": {"a": "x".repeat(70_000)}})), "context");
        assert_eq!(
            fault(json!({"title": "t", "action": {"name": "n", "args": {"a": "x".repeat(70_000)}}})),
            "action.args"
        );
        let deep = (0..65).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(fault(json!({"title": "t", "context": {"a": deep}})), "context");
        assert_eq!(fault(json!({"title": "t", "request_id": "a b"})), "request_id");
        assert_eq!(fault(json!({"title": "t", "allow": []})), "allow");
        assert_eq!(fault(json!({"title": "t", "allow": ["edit"]})), "allow");
        assert_eq!(fault(json!({"title": "t", "expires_in_seconds": 400_000_000})), "expires_in_seconds");
        assert_eq!(fault(json!({"title": "t", "escalation": [{"role": "ADMIN"}]})), "escalation");
        let self_made = |on: Value| {
            let mut body = json!({"title": "t", "on_timeout": "approve"});
            body.as_object_mut().expect("an object").extend(on.as_object().expect("an object").clone());
            fault(body)
        };
        assert_eq!(self_made(json!({"intervention_type": "kill_switch"})), "on_timeout");
        assert_eq!(self_made(json!({"required_role": "ADMIN"})), "on_timeout");
        assert_eq!(self_made(json!({"expires_in_seconds": -1})), "on_timeout");
        assert_eq!(self_made(json!({"allow": ["reject"]})), "on_timeout");
        let all = json!({"title": "t", "on_timeout": "escalate", "escalation": [{"role": "ADMIN", "quorum": "all"}]});
        assert_eq!(fault(all), "escalation[0]");
    }
}
