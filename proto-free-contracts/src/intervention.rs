//! Interventions: a request for a person's decision, the decision, and everything said about them on the wire.
//!
//! An agent, a plan or a hold policy asks ([`CreateIntervention`], or LangChain's [`HumanInterrupt`]); a pilot claims it
//! and decides it, bound to the version and to the digest of the arguments that the pilot saw; whoever asked redeems
//! the decision once. Who may do what, and when, is the operator's state machine; here are only the words.

mod answer;
mod create;
mod decision;
mod delivery;
mod escalation;
mod held;
mod history;
mod insight;
mod kind;
mod langchain;
pub(crate) mod limits;
mod metrics;
mod page;
mod record;
mod socket;
mod subscription;
pub(crate) mod words;

pub use answer::Answer;
pub use create::{CreateAction, CreateBody, CreateIntervention};
pub use decision::{
    CancelBody, ClaimBody, CompleteBody, Decision, DecisionBody, EditBody, RedeemBody, RespondBody, Vote,
};
pub use delivery::{Channel, Delivery, DeliveryPage, DeliveryState, EndedIntervention, ListDeliveries, WebhookEvent};
pub use escalation::{EscalationStep, Quorum};
pub use held::{Held, HeldIntervention, HeldStatus};
pub use history::HistoryEntry;
pub use insight::{
    AnomalyKind, AnomalyReport, InsightPeriod, InterventionAnomaly, KeepRouting, Performance, PerformanceReport,
    PilotPerformance, PilotRouting, PilotScore, ResponseTimeBucket, ResponseTimes, SUGGESTIONS, ScorePart,
    WorkingHours,
};
pub use kind::InterventionType;
pub use langchain::{
    ActionRequest, HumanInterrupt, HumanInterruptConfig, HumanResponse, HumanResponseArgs, HumanResponseType,
};
pub use limits::{
    ACTION_NAME_CHARS, ARGS_BYTES, CONTEXT_BYTES, DEFAULT_EXPIRES_IN_SECONDS, DESCRIPTION_CHARS, ESCALATION_STEPS,
    InvalidField, MAX_EXPIRES_IN_SECONDS, REASON_CHARS, RESPONSE_CHARS, TITLE_CHARS,
};
pub use metrics::{InterventionMetrics, PilotCount};
pub use page::{Cursor, DEFAULT_LIMIT, InterventionPage, ListInterventions, MAX_LIMIT};
pub use record::{Action, Intervention, StandsAt};
pub use socket::{
    CLOSE_NOBODY, CLOSE_WRONG_TOKEN, Command, CommandError, Inbound, PilotAction, Push, PushMessage, PushTopic, Reply,
    ReplyError, ReplyErrorInfo,
};
pub use subscription::{EmailSubscription, NewEmailSubscription, PILOTS, SUBSCRIPTIONS_OF_ORG, Told};
pub use words::{AnswerFormat, DecisionKind, OnTimeout, Priority, Status, UnknownWord};

pub use crate::identity::Role;
