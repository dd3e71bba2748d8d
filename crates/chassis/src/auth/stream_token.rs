//! Short-lived tokens for `?token=`, because a browser's EventSource and WebSocket cannot send headers.
//!
//! A token is its expiry, whose it is, and a MAC of both under the shared token. It is verified without any store, so
//! any replica, and the edge in front of it, accepts what another one made; whether its bearer was shut out since it was
//! made is the verifier's to say. Addresses end up in logs and histories, so
//! its bearer may read and nothing else, whoever it was made for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use vx11_contracts::identity::{OrgId, Principal, Role, Scope, Scopes};

/// How long a stream token works.
pub const STREAM_TOKEN_TTL: Duration = Duration::from_secs(60);

/// A stream token for who has the shared token: `<expiry>.<mac>`.
pub fn mint_stream_token(token: &SecretString, now: SystemTime) -> String {
    let expires = expiry(now);
    format!("{expires}.{}", hex(mac(token, expires, None).as_ref()))
}

/// A stream token for `principal`, who asks for it with the access token `by_token`, if it is one:
/// `<expiry>.<principal>.<mac>`.
pub fn mint_stream_token_for(
    token: &SecretString,
    principal: &Principal,
    by_token: Option<&str>,
    now: SystemTime,
) -> String {
    let expires = expiry(now);
    let holder = Holder {
        org: principal.org.clone(),
        sub: principal.subject.as_ref().to_owned(),
        role: principal.role,
        scopes: principal.scopes,
        jti: by_token.map(str::to_owned),
    };
    let holder = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&holder).expect("texts"));
    format!("{expires}.{holder}.{}", hex(mac(token, expires, Some(&holder)).as_ref()))
}

#[derive(Serialize, Deserialize)]
struct Holder {
    org: OrgId,
    sub: String,
    role: Role,
    scopes: Scopes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
}

/// How somebody came by a stream token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// When it was made, to the second.
    pub at: Timestamp,
    /// The id of the access token that it was made for.
    pub by_token: Option<String>,
}

/// Whether `sent` is a stream token that was made with the shared token and still works.
pub(super) fn verify(token: &SecretString, sent: &str, now: SystemTime) -> bool {
    let Some((expires, mac)) = sent.split_once('.') else { return false };
    is_good(token, expires, None, mac, now)
}

/// Who the stream token `sent` was made for, as far as it reaches, and how it was made.
pub(super) fn holder(token: &SecretString, sent: &str, now: SystemTime) -> Option<(Principal, Minted)> {
    let (expires, rest) = sent.split_once('.')?;
    let (holder, mac) = rest.split_once('.')?;
    if !is_good(token, expires, Some(holder), mac, now) {
        return None;
    }
    let at = expires.parse::<u64>().ok()?.checked_sub(STREAM_TOKEN_TTL.as_secs())?;
    let at = Timestamp::from_second(at.try_into().ok()?).ok()?;
    let Holder { org, sub, role, scopes, jti } = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(holder).ok()?).ok()?;
    Some((reader(Principal { org, subject: sub.into(), role, scopes }), Minted { at, by_token: jti }))
}

/// What is left of `principal` when it comes with a stream token.
pub(super) fn reader(principal: Principal) -> Principal {
    principal.narrowed([Scope::Read].into_iter().collect())
}

fn is_good(token: &SecretString, expires: &str, holder: Option<&str>, sent: &str, now: SystemTime) -> bool {
    let Ok(expires) = expires.parse::<u64>() else { return false };
    let right = hex(mac(token, expires, holder).as_ref());
    expires >= unix_seconds(now) && bool::from(sent.as_bytes().ct_eq(right.as_bytes()))
}

fn mac(token: &SecretString, expires: u64, holder: Option<&str>) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.expose_secret().as_bytes());
    let separator = if holder.is_some() { " " } else { "" };
    let message = format!("vx11 stream token {expires}{separator}{}", holder.unwrap_or_default());
    hmac::sign(&key, message.as_bytes())
}

fn expiry(now: SystemTime) -> u64 {
    unix_seconds(now) + STREAM_TOKEN_TTL.as_secs()
}

fn unix_seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use vx11_contracts::identity::Permission;

    use super::*;

    fn viewer() -> Principal {
        let org = "acme".parse().expect("an id");
        Principal { org, subject: "github:octocat".into(), role: Role::Viewer, scopes: Scopes::ALL }
    }

    #[test]
    fn a_stream_token_works_until_it_expires_and_only_under_its_own_secret() {
        let secret = SecretString::from("s3cret");
        let now = SystemTime::now();
        let minted = mint_stream_token(&secret, now);
        assert!(verify(&secret, &minted, now));
        assert!(verify(&secret, &minted, now + STREAM_TOKEN_TTL));
        assert!(!verify(&secret, &minted, now + STREAM_TOKEN_TTL + Duration::from_secs(1)));
        assert!(!verify(&SecretString::from("other"), &minted, now));
    }

    #[test]
    fn a_stream_token_with_a_later_expiry_written_in_is_refused() {
        let secret = SecretString::from("s3cret");
        let minted = mint_stream_token(&secret, SystemTime::now());
        let (expires, mac) = minted.split_once('.').expect("two parts");
        let later = expires.parse::<u64>().expect("seconds") + 3600;
        assert!(!verify(&secret, &format!("{later}.{mac}"), SystemTime::now()));
        for garbage in ["", ".", "..", "x.y", "x.y.z", "18446744073709551616.aa"] {
            assert!(!verify(&secret, garbage, SystemTime::now()), "{garbage}");
            assert_eq!(holder(&secret, garbage, SystemTime::now()), None, "{garbage}");
        }
    }

    #[test]
    fn a_pilots_stream_token_is_the_pilots_for_reading_and_nobody_elses() {
        let (secret, now) = (SecretString::from("s3cret"), SystemTime::now());
        let minted = mint_stream_token_for(&secret, &viewer(), Some("t1"), now);
        let (found, how) = holder(&secret, &minted, now).expect("good");
        assert_eq!((how.at.as_second().cast_unsigned(), how.by_token.as_deref()), (unix_seconds(now), Some("t1")));
        assert_eq!((&found.org, &found.subject, found.role), (&viewer().org, &viewer().subject, Role::Viewer));
        assert!(found.may(Permission::ReadInterventions));
        let admin = Principal { role: Role::Admin, ..viewer() };
        let (by_admin, _) = holder(&secret, &mint_stream_token_for(&secret, &admin, None, now), now).expect("good");
        assert!(!by_admin.may(Permission::DecideInterventions), "an address is no place for more than reading");

        assert!(!verify(&secret, &minted, now), "it isn't the services' own");
        assert_eq!(holder(&secret, &minted, now + STREAM_TOKEN_TTL + Duration::from_secs(1)), None);
        let [expires, _, mac] = minted.splitn(3, '.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        let forged = URL_SAFE_NO_PAD.encode(br#"{"org":"default","sub":"x","role":"ADMIN","scopes":["read"]}"#);
        assert_eq!(holder(&secret, &format!("{expires}.{forged}.{mac}"), now), None);
        assert!(!verify(&secret, &format!("{expires}.{mac}"), now));
    }
}
