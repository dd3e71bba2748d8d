//! Why a command is not carried out.

use vx11_contracts::intervention::{Decision, DecisionKind, InvalidField, Role, Status};

/// Why a command is not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It was decided, closed or expired; or not yet decided, where a decision is to be redeemed.
    #[error("the request is {status}")]
    WrongState {
        /// Where it stands.
        status: Status,
        /// Its version.
        version: i64,
        /// The decision that won.
        decision: Option<Box<Decision>>,
    },
    /// It changed since the pilot looked.
    #[error("the request is at version {current}, and version {seen} was decided; look at it again")]
    StaleVersion {
        /// The version that was decided.
        seen: i64,
        /// The version that is there.
        current: i64,
    },
    /// The arguments are not those that were looked at, or approved.
    #[error("the digest is not that of the request's arguments; look at it again")]
    WrongDigest {
        /// The digest of the arguments that are there; none where there is no action.
        current: Option<String>,
    },
    /// Another pilot is at it.
    #[error("{pilot} is at it until {until}")]
    ClaimedBy {
        /// Who.
        pilot: String,
        /// RFC 3339 UTC.
        until: String,
    },
    /// The request does not allow this way to decide.
    #[error("the request does not allow {kind}")]
    NotAllowed {
        /// The way that was tried.
        kind: DecisionKind,
        /// Those that are allowed.
        allow: Vec<DecisionKind>,
    },
    /// Everybody of a step has to agree, and this pilot did already; nobody claims such a request.
    #[error("everybody who is asked has to decide: you have approved it, or there is nothing to claim")]
    Quorum,
    /// It does not expire yet.
    #[error("nothing is due")]
    NotDue,
    /// The role does not suffice.
    #[error("this needs the role {needed}")]
    RoleTooLow {
        /// The least one that does.
        needed: Role,
    },
    /// Others are asked.
    #[error("only {} may decide this", pilots.join(", "))]
    NotAsked {
        /// Who.
        pilots: Vec<String>,
    },
    /// It is the pilot's own request to a model that is held.
    #[error("whoever asks for this does not decide it")]
    OwnRequest,
    /// Only its author may.
    #[error("only whoever asked may do this")]
    NotAuthor,
    /// A field is not acceptable.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
}

/// What a refusal is in HTTP's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalClass {
    /// 409: the request is in a state that does not allow it.
    Conflict,
    /// 403: whoever asks may not.
    Forbidden,
    /// 422: a field is not acceptable.
    Invalid,
}

impl RefusalClass {
    /// Its name in the audit.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Forbidden => "denied",
            Self::Invalid => "invalid",
        }
    }
}

impl Refusal {
    /// What it is in HTTP's terms.
    pub(crate) fn class(&self) -> RefusalClass {
        match self {
            Self::WrongState { .. }
            | Self::StaleVersion { .. }
            | Self::WrongDigest { .. }
            | Self::ClaimedBy { .. }
            | Self::NotAllowed { .. }
            | Self::Quorum
            | Self::NotDue => RefusalClass::Conflict,
            Self::RoleTooLow { .. } | Self::NotAsked { .. } | Self::OwnRequest | Self::NotAuthor => {
                RefusalClass::Forbidden
            }
            Self::Invalid(_) => RefusalClass::Invalid,
        }
    }
}
