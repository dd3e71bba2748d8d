//! Refresh tokens: opaque, used once, each followed by the next of its family.
//!
//! A family is one login. Each use replaces the token, so of a stolen one either the thief or the owner comes second,
//! with a token that was replaced: then nobody can tell who is who, and the whole family ends.
//!
//! Two tabs of one browser that wake up together come second too, honestly. For [`GRACE`] after it was replaced, a
//! token is therefore still worth one access token, but no refresh token: the tabs share the cookie, so the late one
//! has the successor already. Who replays a stolen token in these seconds gets an hour at most and no lasting login,
//! and is not needed to be told from a tab. A client that lost the answer with its successor has to log in again;
//! were it given another, a thief could have one as well, and two tokens of a family would live side by side.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use crate::sha256::Sha256;

/// How long a token can be used.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a family lasts, however often its tokens are used; then people log in anew.
pub const FAMILY_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long a token that was replaced is still worth an access token.
pub const GRACE: SignedDuration = SignedDuration::from_secs(10);
/// Bytes of a token.
const BYTES: usize = 32;

/// A token that was just made.
#[derive(Debug)]
pub struct NewRefreshToken {
    /// What the cookie holds.
    pub plain: SecretString,
    /// What the store keeps: of 256 random bits a fast hash is enough.
    pub hash: Sha256,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

impl NewRefreshToken {
    /// A token of a family that began at `family_started_at`.
    pub fn make(family_started_at: Timestamp, now: Timestamp) -> Self {
        let plain = URL_SAFE_NO_PAD.encode(rand::random::<[u8; BYTES]>());
        let after = |from: Timestamp, lifetime| from.saturating_add(lifetime).unwrap_or(from);
        let expires_at = after(now, LIFETIME).min(after(family_started_at, FAMILY_LIFETIME));
        Self { hash: Sha256::of(plain.as_bytes()), plain: plain.into(), expires_at }
    }
}

/// What finds the row of the token that a cookie holds; `None` for what can't be one.
pub fn hash_of(presented: &str) -> Option<Sha256> {
    let is_one = URL_SAFE_NO_PAD.decode(presented).is_ok_and(|bytes| bytes.len() == BYTES);
    is_one.then(|| Sha256::of(presented.as_bytes()))
}

/// What a token's row says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshRow {
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// When it was used, if it was: a successor was made for it.
    pub replaced_at: Option<Timestamp>,
    /// Whether its family has ended: by logout, by an ADMIN, or because of a reuse.
    pub family_revoked: bool,
}

/// What is to be done about a token that is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// Replace it, and answer a new access token and the new refresh token.
    ///
    /// To be written as `UPDATE … SET replaced_at = now WHERE hash = … AND replaced_at IS NULL`; where that changes no
    /// row, another was faster: read the row again and ask again.
    Rotate,
    /// Answer a new access token and leave the cookie as it is: another tab was faster.
    AccessOnly,
    /// Revoke its family, and answer 401.
    ReuseRevokesFamily,
    /// Answer 401: its time is over.
    Expired,
    /// Answer 401: its family has ended.
    Revoked,
    /// Answer 401: there is no such token.
    Unknown,
}

impl fmt::Display for RefreshVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rotate => "rotate",
            Self::AccessOnly => "access_only",
            Self::ReuseRevokesFamily => "reuse",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        })
    }
}

/// What is to be done about a token that is presented at `now` and has `row`.
pub fn present(row: Option<&RefreshRow>, now: Timestamp) -> RefreshVerdict {
    let Some(row) = row else { return RefreshVerdict::Unknown };
    if row.family_revoked {
        return RefreshVerdict::Revoked;
    }
    match row.replaced_at {
        // A replica whose clock is behind sees a time that is still to come: that is within the grace as well.
        Some(replaced_at) if now.duration_since(replaced_at) <= GRACE && now < row.expires_at => {
            RefreshVerdict::AccessOnly
        }
        // Even when its own time is over: its successor may live.
        Some(_) => RefreshVerdict::ReuseRevokesFamily,
        None if now >= row.expires_at => RefreshVerdict::Expired,
        None => RefreshVerdict::Rotate,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
    }

    fn row(expires: i64, replaced: Option<i64>) -> RefreshRow {
        RefreshRow { expires_at: at(expires), replaced_at: replaced.map(at), family_revoked: false }
    }

    #[test]
    fn a_token_is_used_once_and_its_reuse_ends_the_family() {
        use RefreshVerdict as V;
        assert_eq!(present(None, at(0)), V::Unknown);
        assert_eq!(present(Some(&row(100, None)), at(99)), V::Rotate);
        assert_eq!(present(Some(&row(100, None)), at(100)), V::Expired);
        assert_eq!(present(Some(&row(100, Some(50))), at(60)), V::AccessOnly);
        assert_eq!(present(Some(&row(100, Some(50))), at(61)), V::ReuseRevokesFamily);
        assert_eq!(present(Some(&row(100, Some(95))), at(101)), V::ReuseRevokesFamily);
        let revoked = RefreshRow { family_revoked: true, ..row(100, Some(50)) };
        assert_eq!(present(Some(&revoked), at(55)), V::Revoked);
    }

    #[test]
    fn a_token_lasts_a_week_and_its_family_a_month() {
        let day = 24 * 3600;
        assert_eq!(NewRefreshToken::make(at(0), at(0)).expires_at, at(7 * day));
        assert_eq!(NewRefreshToken::make(at(0), at(28 * day)).expires_at, at(30 * day));
    }

    #[test]
    fn only_what_can_be_a_token_is_looked_for() {
        let token = NewRefreshToken::make(at(0), at(0));
        assert_eq!(hash_of(token.plain.expose_secret()), Some(token.hash));
        assert!(!format!("{token:?}").contains(token.plain.expose_secret()));
        for text in ["", "x", "%%%", &token.plain.expose_secret()[1..]] {
            assert_eq!(hash_of(text), None);
        }
    }

    proptest! {
        /// Tokens of one family are presented in any order, by owner and thief alike.
        #[test]
        fn at_most_one_token_of_a_family_lives_and_none_after_a_reuse(
            presented in prop::collection::vec((any::<prop::sample::Index>(), 0i64..200_000), 1..60),
        ) {
            let (mut now, start) = (0, at(0));
            let mut rows = vec![RefreshRow { expires_at: NewRefreshToken::make(start, start).expires_at,
                replaced_at: None, family_revoked: false }];
            let mut ended = false;
            for (which, pause) in presented {
                now += pause;
                let place = which.index(rows.len());
                let before = rows[place];
                match present(Some(&before), at(now)) {
                    RefreshVerdict::Rotate => {
                        prop_assert_eq!(place, rows.len() - 1, "only the newest is replaced");
                        rows[place].replaced_at = Some(at(now));
                        let expires_at = NewRefreshToken::make(start, at(now)).expires_at;
                        rows.push(RefreshRow { expires_at, replaced_at: None, family_revoked: false });
                    }
                    RefreshVerdict::AccessOnly => prop_assert!(before.replaced_at.is_some_and(|then| at(now).duration_since(then) <= GRACE)),
                    RefreshVerdict::ReuseRevokesFamily => {
                        prop_assert!(before.replaced_at.is_some());
                        rows.iter_mut().for_each(|row| row.family_revoked = true);
                        ended = true;
                    }
                    RefreshVerdict::Revoked => prop_assert!(ended),
                    RefreshVerdict::Expired => prop_assert!(at(now) >= before.expires_at),
                    RefreshVerdict::Unknown => prop_assert!(false, "there is a row"),
                }
                let live = rows.iter().filter(|row| row.replaced_at.is_none() && !row.family_revoked).count();
                prop_assert_eq!(live, usize::from(!ended));
            }
        }
    }
}
