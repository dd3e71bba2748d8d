//! What is learned from requests: anomalies, whom a request suits, and how pilots do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::words;

words! {
    /// What looks wrong.
    AnomalyKind {
        /// One author asks more in a short time than people can read.
        Burst = "burst",
        /// One unit asks again and again, and comes to more than one pilot.
        RapidRetry = "rapid_retry",
        /// Requests expire because nobody answers.
        Unanswered = "unanswered",
    }
}

/// Something that looks wrong in the requests of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InterventionAnomaly {
    /// What looks wrong.
    pub kind: AnomalyKind,
    /// The author or the unit; absent where it is everybody's.
    pub subject: Option<String>,
    /// How many times what is usual at most.
    pub score: f64,
    /// Why, in a sentence.
    pub reason: String,
    /// The requests, oldest first; at most 20.
    #[schema(max_items = 20)]
    pub request_ids: Vec<String>,
}

/// How well a request suits a pilot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PilotScore {
    /// The pilot.
    pub pilot_id: String,
    /// The weighted mean of the parts, 0 to 1.
    pub score: f64,
    /// What it is made of.
    pub parts: Vec<ScorePart>,
}

/// One part of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScorePart {
    /// `skills`, `history`, `load` or `hours`.
    pub name: String,
    /// How much it counts.
    pub weight: f64,
    /// 0 to 1.
    pub value: f64,
    /// Why, in words.
    pub reason: String,
}

/// How a pilot does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PilotPerformance {
    /// The pilot.
    pub pilot_id: String,
    /// Requests that the pilot decided or closed, and those meant for them that expired.
    pub total: u64,
    /// Approved, edited ones included.
    pub approved: u64,
    /// Rejected, those answered with a text in place of the action included.
    pub rejected: u64,
    /// Meant for them, and expired.
    pub expired: u64,
    /// Approved of approved and rejected, 0 to 1; 0 of none.
    pub approval_rate: f64,
    /// Expired of all, 0 to 1; 0 of none.
    pub expiry_rate: f64,
    /// How long answers took.
    pub response_times: ResponseTimes,
}

/// How long answers took, from the request to the decision. Percentiles by nearest rank; zeros where there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponseTimes {
    /// The mean.
    pub avg_seconds: f64,
    /// Half took at most this.
    pub p50_seconds: f64,
    /// 95 % took at most this.
    pub p95_seconds: f64,
    /// The longest.
    pub max_seconds: f64,
    /// The distribution.
    pub buckets: Vec<ResponseTimeBucket>,
}

/// The answers between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseTimeBucket {
    /// At most this many seconds, and more than the bound before; absent for the longest.
    pub up_to_seconds: Option<u32>,
    /// How many.
    pub count: u64,
}
