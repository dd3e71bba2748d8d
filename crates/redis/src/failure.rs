//! Whether a Redis that did not run a script is lost, or refuses it.

use fred::prelude::*;

/// What is said by a Redis that is not the one to ask, or not now: another one has taken its place, or its data are not
/// read yet. It is the first word; an older Redis quotes it in a sentence about the script, after a dash.
const NOT_THE_ONE: [&str; 5] = ["LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS"];

/// Why a script has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Redis does not answer.
    Lost,
    /// Redis answers that it cannot do it.
    Refused,
}

impl Failed {
    /// What an error of the client's says.
    pub(super) fn of(error: &Error) -> Self {
        match error.kind() {
            _ if is_not_the_one(error) => Self::Lost,
            // The client's own, of a connection that broke as it wrote, are of this kind too.
            ErrorKind::Unknown if !is_said_by_redis(error) => Self::Lost,
            ErrorKind::Unknown
            | ErrorKind::InvalidArgument
            | ErrorKind::InvalidCommand
            | ErrorKind::NotFound
            | ErrorKind::Parse => Self::Refused,
            _ => Self::Lost,
        }
    }

    /// The label in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Refused => "refused",
        }
    }
}

/// Whether the sentence is Redis' own: those begin with a word in capitals (Redis protocol specification, simple errors).
fn is_said_by_redis(error: &Error) -> bool {
    let first_word = error.details().split(' ').next().unwrap_or_default();
    !first_word.is_empty() && first_word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// Whether it is not the one to ask, or not now.
pub(super) fn is_not_the_one(error: &Error) -> bool {
    let details = error.details();
    let quoted = details.split_once(": -").map(|(_, quoted)| quoted);
    let mut first_words = [Some(details), quoted].into_iter().flatten().filter_map(|text| text.split(' ').next());
    first_words.any(|word| NOT_THE_ONE.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_that_refuses_is_not_lost() {
        for (kind, details, expected) in [
            (ErrorKind::Unknown, "OOM command not allowed when used memory > 'maxmemory'.", Failed::Refused),
            (ErrorKind::Unknown, "READONLY You can't write against a read only replica. script: 5d7c", Failed::Lost),
            (
                ErrorKind::Unknown,
                "ERR Error running script (call to f_1): @user_script: 5: -READONLY You can't write against a read only replica.",
                Failed::Lost,
            ),
            (ErrorKind::Cluster, "CLUSTERDOWN The cluster is down", Failed::Lost),
            (ErrorKind::InvalidArgument, "WRONGTYPE Operation against a key", Failed::Refused),
            (ErrorKind::Parse, "Could not convert to string.", Failed::Refused),
            (ErrorKind::Unknown, "LOADING Redis is loading the dataset in memory", Failed::Lost),
            (ErrorKind::Unknown, "ERR vx11:{key:LOADING-dock}:key:LOADING-dock:requests is odd", Failed::Refused),
            (ErrorKind::Unknown, "ERR @user_script: 5: -WRONGTYPE READONLY", Failed::Refused),
            (ErrorKind::Unknown, "Too many failed write attempts.", Failed::Lost),
            (ErrorKind::Unknown, "channel closed", Failed::Lost),
            (ErrorKind::Unknown, "NOPERM this user has no permissions to run the 'evalsha' command", Failed::Refused),
            (ErrorKind::IO, "Connection refused", Failed::Lost),
            (ErrorKind::Timeout, "Request timed out.", Failed::Lost),
            (ErrorKind::Auth, "NOAUTH Authentication required.", Failed::Lost),
        ] {
            assert_eq!(Failed::of(&Error::new(kind, details)), expected, "{details}");
        }
    }
}
