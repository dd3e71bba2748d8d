//! The frames of the WebSocket `/ws/interventions`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::words::words;
use super::{Intervention, InterventionMetrics, Status};
use crate::unit::UnitEvent;

/// The close code of a socket whose caller isn't known, or not any more.
pub const CLOSE_NOBODY: u16 = 4401;
/// The reason with that code where the token was a guess, which the edge counts.
pub const CLOSE_WRONG_TOKEN: &str = "the token is nobody's";

words! {
    /// What the command `action` does.
    PilotAction {
        /// Approve it.
        Approve = "APPROVE",
        /// Reject it.
        Reject = "REJECT",
        /// Claim it.
        Review = "REVIEW",
    }
}

words! {
    /// What a client wants to be told of.
    PushTopic {
        /// Interventions, and their metrics.
        Interventions = "interventions",
        /// Units of work.
        Units = "units",
    }
}

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Push to me.
    Subscribe {
        /// Of requests that wait for one pilot only those of this one; everything of the tenant where absent. Steps from
        /// status to status come of all.
        #[serde(default)]
        pilot_id: Option<String>,
        /// Of what; of interventions where absent.
        #[serde(default = "interventions")]
        topics: Vec<PushTopic>,
    },
    /// Push no more.
    Unsubscribe {},
    /// The pending page.
    GetPending {
        /// Rows of the page.
        #[serde(default)]
        limit: Option<u32>,
    },
    /// The metrics.
    GetMetrics {},
    /// One request.
    RequestDetail {
        /// Which.
        request_id: String,
    },
    /// What was decided, newest first.
    GetHistory {
        /// Rows of the page.
        #[serde(default)]
        limit: Option<u32>,
    },
    /// Decide, or claim.
    Action {
        /// Which request.
        request_id: String,
        /// What to do.
        action: PilotAction,
        /// Why.
        #[serde(default)]
        reason: Option<String>,
        /// The version that the pilot saw. Older clients do not send it; they decide what is there.
        #[serde(default)]
        version: Option<i64>,
        /// The digest of the arguments that the pilot saw.
        #[serde(default)]
        args_digest: Option<String>,
    },
    /// Are you there?
    Ping {},
}

fn interventions() -> Vec<PushTopic> {
    vec![PushTopic::Interventions]
}

/// A command, and the id that its reply carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// As sent, where it was sent.
    pub id: Option<Value>,
    /// The command.
    pub command: Command,
}

/// Why a frame is not a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CommandError(pub String);

impl Inbound {
    /// Reads a frame. The fields of a command stand flat beside `type`, or under `payload` or `data`.
    ///
    /// # Errors
    /// A sentence for the client, when it is not JSON, not an object, or no command.
    pub fn parse(frame: &str) -> Result<Self, CommandError> {
        let wrong = |error: serde_json::Error| CommandError(error.to_string());
        let mut fields: Map<String, Value> = serde_json::from_str(frame).map_err(wrong)?;
        let id = fields.remove("id");
        for nest in ["payload", "data"] {
            if let Some(Value::Object(nested)) = fields.remove(nest) {
                // What names the command stands outside, whatever is inside.
                nested.into_iter().filter(|(name, _)| name != "type").for_each(|(name, value)| {
                    fields.insert(name, value);
                });
            }
        }
        let command = serde_json::from_value(Value::Object(fields)).map_err(wrong)?;
        Ok(Self { id, command })
    }
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reply<T> {
    /// Always `true`.
    pub success: bool,
    /// The command.
    #[serde(rename = "type")]
    pub kind: String,
    /// As the command carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub id: Option<Value>,
    /// The answer.
    pub data: T,
}

/// The refusal of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReplyError {
    /// Always `false`.
    pub success: bool,
    /// As the command carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub id: Option<Value>,
    /// Why.
    pub error: ReplyErrorInfo,
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplyErrorInfo {
    /// What a program matches on, from the catalogue of error codes.
    pub code: String,
    /// A sentence for a person.
    pub message: String,
}

/// What is sent without being asked for, to the tenant only. The SSE stream carries the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum Push {
    /// A request was made.
    NewRequest(Box<Intervention>),
    /// A request stands elsewhere.
    StatusChanged {
        /// Which.
        request_id: String,
        /// Where it stood.
        old_status: Status,
        /// Where it stands.
        new_status: Status,
        /// Who moved it: a pilot, or `system:timeout`.
        updated_by: String,
        /// Its version now.
        version: i64,
    },
    /// A request was decided or closed.
    ActionCompleted(Box<Intervention>),
    /// Something happened to a unit of work; for who has asked for that topic.
    UnitStatusChanged {
        /// Whose unit it is.
        instance_id: String,
        /// What a pilot reads.
        title: String,
        /// What happened.
        #[serde(flatten)]
        event: Box<UnitEvent>,
    },
    /// The metrics, every 30 s.
    MetricsUpdate(InterventionMetrics),
    /// Pushes were left out, as the reader was too slow or another replica was not heard: read the lists again.
    Resync {
        /// How many were left out; 0 where that is not known.
        missed: u64,
    },
}

impl Push {
    /// The push's `type`, which after `intervention_` is the SSE event's name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NewRequest(_) => "new_request",
            Self::StatusChanged { .. } => "status_changed",
            Self::ActionCompleted(_) => "action_completed",
            Self::UnitStatusChanged { .. } => "unit_status_changed",
            Self::MetricsUpdate(_) => "metrics_update",
            Self::Resync { .. } => "resync",
        }
    }
}

/// A push as it is sent: `{type, data, timestamp}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PushMessage {
    /// What happened.
    #[serde(flatten)]
    pub push: Push,
    /// When it was sent, RFC 3339 UTC.
    pub timestamp: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn command(frame: &Value) -> Result<Command, String> {
        Inbound::parse(&frame.to_string()).map(|inbound| inbound.command).map_err(|error| error.to_string())
    }

    #[test]
    fn the_fields_of_a_command_stand_flat_or_nested() {
        let wanted = Command::Action {
            request_id: "r-1".to_owned(),
            action: PilotAction::Approve,
            reason: Some("fine".to_owned()),
            version: None,
            args_digest: None,
        };
        let fields = json!({"request_id": "r-1", "action": "APPROVE", "reason": "fine"});
        let mut flat = fields.clone();
        flat["type"] = json!("action");
        assert_eq!(command(&flat), Ok(wanted.clone()));
        assert_eq!(command(&json!({"type": "action", "payload": fields})), Ok(wanted.clone()));
        assert_eq!(command(&json!({"type": "action", "data": fields})), Ok(wanted));
        assert_eq!(command(&json!({"type": "get_metrics"})), Ok(Command::GetMetrics {}));
        assert_eq!(
            command(&json!({"type": "subscribe"})),
            Ok(Command::Subscribe { pilot_id: None, topics: interventions() })
        );
        let both = json!({"type": "subscribe", "topics": ["interventions", "units"]});
        assert_eq!(command(&both), Ok(Command::Subscribe { pilot_id: None, topics: PushTopic::ALL.to_vec() }));
        assert!(command(&json!({"type": "subscribe", "topics": ["unit"]})).is_err());
        let ping = Inbound::parse(r#"{"type": "ping", "id": 7}"#).expect("a command");
        assert_eq!(ping, Inbound { id: Some(json!(7)), command: Command::Ping {} });
    }

    #[test]
    fn what_is_no_command_is_refused_with_a_sentence() {
        assert!(command(&json!({"type": "dance"})).expect_err("unknown").contains("unknown variant `dance`"));
        assert!(command(&json!({"type": "request_detail"})).expect_err("no id").contains("request_id"));
        assert!(Inbound::parse("{").is_err() && Inbound::parse("[]").is_err());
    }

    #[test]
    fn a_push_carries_its_type_and_its_data() {
        let push = Push::StatusChanged {
            request_id: "r-1".to_owned(),
            old_status: Status::Pending,
            new_status: Status::Approved,
            updated_by: "ana".to_owned(),
            version: 2,
        };
        let message = PushMessage { push, timestamp: "2026-11-21T04:05:06.789Z".to_owned() };
        assert_eq!(
            serde_json::to_value(&message).expect("JSON"),
            json!({
                "type": "status_changed",
                "data": {
                    "request_id": "r-1", "old_status": "PENDING", "new_status": "APPROVED", "updated_by": "ana",
                    "version": 2,
                },
                "timestamp": "2026-11-21T04:05:06.789Z",
            })
        );
        assert_eq!(message.push.kind(), "status_changed");
    }
}
