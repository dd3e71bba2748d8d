//! What is learned from requests: anomalies, whom a request suits, and how pilots do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::words;
use super::{InvalidField, limits};

/// Most pilots that a request is suggested to.
pub const SUGGESTIONS: usize = 10;
/// Most skills of a pilot.
const SKILLS: usize = 32;
/// Longest skill, in characters.
const SKILL_CHARS: usize = 64;

words! {
    /// The time that is looked at, up to now.
    InsightPeriod {
        /// The last hour.
        Hour = "1h",
        /// The last six hours.
        SixHours = "6h",
        /// The last day.
        Day = "24h",
        /// The last week.
        Week = "7d",
        /// The last thirty days.
        Month = "30d",
    }
}

impl InsightPeriod {
    /// How long it is.
    pub const fn hours(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::SixHours => 6,
            Self::Day => 24,
            Self::Week => 7 * 24,
            Self::Month => 30 * 24,
        }
    }
}

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

/// `GET /operator/api/insights/anomalies`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnomalyReport {
    /// From when on requests were made that are looked at, RFC 3339 UTC.
    pub since: String,
    /// Until when, RFC 3339 UTC.
    pub until: String,
    /// How many these are.
    pub requests: u64,
    /// Whether they are all; else the newest, at most 5000 of each status.
    pub is_whole: bool,
    /// What looks wrong in them, the worst first; at most 100.
    #[schema(max_items = 100)]
    pub anomalies: Vec<InterventionAnomaly>,
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

/// The hours of the day in UTC in which a pilot works: from the first up to and without the second, over midnight where
/// the first is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkingHours {
    /// 0 to 23.
    #[schema(maximum = 23)]
    pub from: u8,
    /// 1 to 24.
    #[schema(minimum = 1, maximum = 24)]
    pub until: u8,
}

/// `PUT /operator/api/pilots/{id}/routing`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepRouting {
    /// Intervention types and names of actions that the pilot is good at; at most 32 of 64 characters.
    #[serde(default)]
    #[schema(max_items = 32)]
    pub skills: Vec<String>,
    /// When the pilot works; any time where absent.
    #[serde(default)]
    pub hours: Option<WorkingHours>,
}

impl KeepRouting {
    /// As it is kept: skills in lower case, each once.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn fit(self) -> Result<Self, InvalidField> {
        if self.skills.len() > SKILLS {
            return Err(InvalidField::new("skills", format!("at most {SKILLS} skills")));
        }
        for (n, skill) in self.skills.iter().enumerate() {
            let field = format!("skills[{n}]");
            limits::filled(&field, skill, SKILL_CHARS)?;
            if skill.chars().any(char::is_control) {
                return Err(InvalidField::new(field, "no line breaks and other control characters"));
            }
        }
        if self
            .hours
            .is_some_and(|WorkingHours { from, until }| from > 23 || !(1..=24).contains(&until) || from == until)
        {
            return Err(InvalidField::new("hours", "from 0 to 23, until another hour of 1 to 24"));
        }
        let mut skills: Vec<String> = self.skills.iter().map(|skill| skill.trim().to_lowercase()).collect();
        skills.sort();
        skills.dedup();
        Ok(Self { skills, ..self })
    }
}

/// What is known of a pilot for suggestions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PilotRouting {
    /// The pilot.
    pub pilot_id: String,
    /// Intervention types and names of actions that the pilot is good at, in lower case.
    pub skills: Vec<String>,
    /// When the pilot works; any time where absent.
    pub hours: Option<WorkingHours>,
    /// Who said so; absent where nobody has.
    pub updated_by: Option<String>,
    /// When, RFC 3339 UTC.
    pub updated_at: Option<String>,
}

/// `GET /operator/api/insights/performance`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PerformanceReport {
    /// From when on requests ended that are looked at, RFC 3339 UTC.
    pub since: String,
    /// Until when, RFC 3339 UTC.
    pub until: String,
    /// How many these are, those that were withdrawn or that time approved included.
    pub requests: u64,
    /// Whether they are all; else the newest 10 000.
    pub is_whole: bool,
    /// The organisation as a whole; absent where one pilot is asked for. What expired counts whoever it was meant for.
    pub organisation: Option<Performance>,
    /// Each pilot, those with most requests first; at most 100, and only oneself where one is no ADMIN.
    #[schema(max_items = 100)]
    pub pilots: Vec<PilotPerformance>,
}

/// How a pilot does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PilotPerformance {
    /// The pilot.
    pub pilot_id: String,
    /// How.
    #[serde(flatten)]
    pub performance: Performance,
}

/// How requests were decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Performance {
    /// Requests that were decided or closed, and those that expired.
    pub total: u64,
    /// Approved, edited ones included.
    pub approved: u64,
    /// Rejected, those answered with a text in place of the action included.
    pub rejected: u64,
    /// Expired.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skills_are_kept_in_lower_case_and_hours_are_of_a_day() {
        let of = |skills: &[&str], hours: Option<(u8, u8)>| KeepRouting {
            skills: skills.iter().map(|&skill| skill.to_owned()).collect(),
            hours: hours.map(|(from, until)| WorkingHours { from, until }),
        };
        let kept = of(&["Deploy ", "approval", "deploy"], Some((22, 6))).fit().expect("fits");
        assert_eq!(kept.skills, ["approval", "deploy"]);
        let field = |of: KeepRouting| of.fit().expect_err("refused").field;
        assert_eq!(field(of(&["a\nb"], None)), "skills[0]");
        assert_eq!(field(of(&["a"; 33], None)), "skills");
        for hours in [(24, 6), (9, 9), (9, 0), (9, 25)] {
            assert_eq!(field(of(&[], Some(hours))), "hours", "{hours:?}");
        }
    }
}
