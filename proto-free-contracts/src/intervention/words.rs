//! The closed sets of words, each with its order where it has one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A word that is not in its set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {known}")]
pub struct UnknownWord {
    /// What was read.
    pub word: String,
    /// What would have been right, separated by commas.
    pub known: String,
}

/// Declares an enum from its words, so that wire, database and `Display` cannot drift apart.
macro_rules! words {
    ($(#[$on:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:tt,)+ }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        $(#[$on])*
        pub enum $name {
            $($(#[$each])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every word, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it stands on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::intervention::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().find(|known| known.as_str() == word).copied().ok_or_else(|| $crate::intervention::UnknownWord {
                    word: word.to_owned(),
                    known: [$($word),+].join(", "),
                })
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Where a request stands.
    ///
    /// There is no word for a request that its author withdrew: it is `REJECTED`, by the author, with the reason. The
    /// list is closed because older clients match on it, and to whoever waits for the answer a withdrawn request and a
    /// refused one mean the same: the action does not run.
    #[schema(as = InterventionStatus)]
    Status {
        /// Nobody has taken it up.
        Pending = "PENDING",
        /// A pilot has claimed it.
        InProgress = "IN_PROGRESS",
        /// Decided: the action may run, as it is or as edited; or the question is answered.
        Approved = "APPROVED",
        /// Decided: the action must not run; a response may say what to do instead.
        Rejected = "REJECTED",
        /// Nobody decided in time; the action must not run.
        Expired = "EXPIRED",
        /// The decision was redeemed, or a pilot did the work and closed the request.
        Completed = "COMPLETED",
    }
}

impl Status {
    /// Whether the request still waits for a decision.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::InProgress)
    }

    /// Whether nothing can follow. `APPROVED` and `REJECTED` can still be redeemed.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Expired | Self::Completed)
    }

    /// Whether `next` may follow: the transitions of the contract, and no others.
    pub const fn may_become(self, next: Self) -> bool {
        use Status::{Approved, Completed, Expired, InProgress, Pending, Rejected};
        match self {
            Pending => matches!(next, InProgress | Approved | Rejected | Expired),
            InProgress => matches!(next, Pending | Approved | Rejected | Completed | Expired),
            Approved | Rejected => matches!(next, Completed),
            Expired | Completed => false,
        }
    }
}

words! {
    /// How urgent a request is; `critical` is the greatest.
    #[derive(Default)]
    #[schema(as = InterventionPriority)]
    Priority {
        /// When there is time.
        Low = "low",
        /// The default.
        #[default]
        Normal = "normal",
        /// Before others.
        High = "high",
        /// At once.
        Critical = "critical",
    }
}

impl Priority {
    /// 0 for `critical` to 3 for `low`: ascending, it is the order in which requests are worked off. What a database
    /// keeps and indexes.
    pub const fn rank(self) -> i16 {
        match self {
            Self::Critical => 0,
            Self::High => 1,
            Self::Normal => 2,
            Self::Low => 3,
        }
    }

    /// The priority of a rank.
    pub const fn from_rank(rank: i16) -> Option<Self> {
        match rank {
            0 => Some(Self::Critical),
            1 => Some(Self::High),
            2 => Some(Self::Normal),
            3 => Some(Self::Low),
            _ => None,
        }
    }
}

words! {
    /// The ways to decide.
    DecisionKind {
        /// The action runs as it was asked.
        Approve = "approve",
        /// The action does not run.
        Reject = "reject",
        /// The action runs with other arguments.
        Edit = "edit",
        /// A text is the answer. A question is answered by it; an action does not run, and the text says what instead.
        Respond = "respond",
    }
}

words! {
    /// What becomes of a request that nobody decides in time.
    #[derive(Default)]
    OnTimeout {
        /// It expires, and the action does not run.
        #[default]
        Reject = "reject",
        /// It is approved.
        Approve = "approve",
        /// Others are asked; it expires when the last of them do not decide either.
        Escalate = "escalate",
    }
}

words! {
    /// In which shape a request came, and therefore its answer goes.
    #[derive(Default)]
    AnswerFormat {
        /// [`Intervention`](super::Intervention).
        #[default]
        Vx11 = "vx11",
        /// LangGraph's [`HumanResponse`](super::HumanResponse).
        Langchain = "langchain",
        /// A list of one [`HumanResponse`](super::HumanResponse), as LangChain's agent inbox sends it.
        LangchainList = "langchain_list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_is_written() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
            assert_eq!(serde_json::to_value(status).expect("JSON"), status.as_str());
        }
        assert_eq!(
            "CANCELLED".parse::<Status>().expect_err("not a status").to_string(),
            "`CANCELLED` is not one of PENDING, IN_PROGRESS, APPROVED, REJECTED, EXPIRED, COMPLETED"
        );
    }

    #[test]
    fn ranks_are_the_order_of_work() {
        assert!(Priority::Critical > Priority::High && Priority::Normal > Priority::Low);
        for priority in Priority::ALL {
            assert_eq!(Priority::from_rank(priority.rank()), Some(*priority));
        }
    }
}
