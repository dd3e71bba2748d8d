//! VX11's services, as power and people name them, and what can be done to one.

use serde::{Deserialize, Serialize};

pub(crate) const MADRE: &str = "madre";
pub(crate) const TENTACULO: &str = "tentaculo";
pub(crate) const OPERATOR: &str = "operator";
pub(crate) const SWITCH: &str = "switch";
pub(crate) const MOCK_PROVIDER: &str = "mock-provider";

/// Never stopped by power: without madre nobody could start anything, without tentaculo nobody could ask for it.
pub(crate) const PROTECTED: [&str; 2] = [MADRE, TENTACULO];
/// What the chat of last resort needs; all that runs under the policy `solo_madre`.
pub(crate) const CORE: [&str; 3] = [MADRE, TENTACULO, OPERATOR];

/// What power can do to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServiceAction {
    /// Make it run.
    Start,
    /// Make it not run.
    Stop,
    /// Both.
    Restart,
}

impl ServiceAction {
    pub(crate) const ALL: [Self; 3] = [Self::Start, Self::Stop, Self::Restart];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// The service that is named at the start of `words` (lower case, no accents), and how many words its name has.
pub(crate) fn named_at(words: &[&str]) -> Option<(&'static str, usize)> {
    match words {
        ["madre", ..] => Some((MADRE, 1)),
        ["tentaculo", ..] => Some((TENTACULO, 1)),
        ["operator" | "operador", ..] => Some((OPERATOR, 1)),
        ["switch", ..] => Some((SWITCH, 1)),
        ["mock", "provider", ..] => Some((MOCK_PROVIDER, 2)),
        _ => None,
    }
}
