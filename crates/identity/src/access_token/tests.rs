//! What is good, and each way to forge.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use vx11_contracts::identity::Scope;

use super::*;
use crate::stored_key::{KeyKind, StoredKey};

const SECRET: &str = "a secret of more than thirty-two bytes";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
}

fn tokens(stored: &StoredKey) -> AccessTokens {
    let keys = SigningKeys::new([stored]).expect("a key");
    AccessTokens::new(keys, "vx11", "operator", SignedDuration::from_mins(15))
}

fn pair() -> StoredKey {
    StoredKey::first(KeyKind::EdDsa, at(0))
}

fn shared() -> StoredKey {
    StoredKey::from_configured(&SECRET.into()).expect("long enough")
}

fn pilot() -> Principal {
    let org = "acme".parse().expect("an id");
    Principal { org, subject: "github:octocat".into(), role: Role::Operator, scopes: Scopes::ALL }
}

fn good_claims() -> Value {
    json!({"sub": "github:octocat", "role": "OPERATOR", "org": "acme", "iat": at(0).as_second(),
        "exp": at(900).as_second(), "jti": "j", "iss": "vx11", "aud": "operator"})
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = good_claims();
    change(&mut claims);
    claims
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token of these claims, signed as `head` says with HMAC under `secret`.
fn signed(head: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = format!("{}.{}", part(head), part(claims));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac))
}

fn hs256(claims: &Value) -> String {
    signed(&json!({"alg": "HS256", "typ": "JWT"}), claims, SECRET.as_bytes())
}

#[test]
fn a_token_says_who_its_bearer_is_until_it_expires() {
    for key in [pair(), shared()] {
        let tokens = tokens(&key);
        let grant = tokens.grant(&pilot(), at(0)).expect("granted");
        let claimed = tokens.verify(grant.token.expose_secret(), at(899)).expect("good");
        assert_eq!((&claimed.principal, &claimed.id), (&pilot(), &grant.id));
        assert_eq!((claimed.issued_at, claimed.expires_at), (at(0), grant.expires_at));
        assert_eq!(tokens.verify(grant.token.expose_secret(), at(900)), Err(TokenError::Expired));
        assert!(!format!("{grant:?}").contains(grant.token.expose_secret()));
    }
}

#[test]
fn scopes_travel_with_the_token() {
    let tokens = tokens(&pair());
    for scopes in [Scopes::NONE, [Scope::Agent, Scope::Read].into_iter().collect()] {
        let principal = Principal { scopes, ..pilot() };
        let grant = tokens.grant(&principal, at(0)).expect("granted");
        assert_eq!(tokens.verify(grant.token.expose_secret(), at(1)).expect("good").principal, principal);
    }
}

#[test]
fn a_lifetime_is_an_hour_at_most_whatever_is_configured_or_claimed() {
    let keys = SigningKeys::new([&pair()]).expect("a key");
    let tokens_for_days = AccessTokens::new(keys, "vx11", "operator", SignedDuration::from_hours(48));
    assert_eq!(tokens_for_days.grant(&pilot(), at(0)).expect("granted").expires_at, at(3600));
    let claims = |exp| with(|claims| claims["exp"] = json!(at(exp).as_second()));
    let tokens = tokens(&shared());
    tokens.verify(&hs256(&claims(3600)), at(1)).expect("an hour");
    assert_eq!(tokens.verify(&hs256(&claims(3601)), at(1)), Err(TokenError::Invalid));
}

#[test]
fn a_token_of_a_program_that_shares_the_secret_is_good_without_a_key_id() {
    tokens(&shared()).verify(&hs256(&good_claims()), at(1)).expect("good");
    assert_eq!(tokens(&pair()).verify(&hs256(&good_claims()), at(1)), Err(TokenError::UnknownKey));
}

#[test]
fn wrong_claims_are_refused_under_a_right_signature() {
    let later = |name: &'static str, by: i64| with(move |claims| claims[name] = json!(at(by).as_second()));
    let set = |name: &'static str, value: Value| with(move |claims| claims[name] = value);
    let without = |name: &'static str| {
        with(move |claims| {
            claims.as_object_mut().expect("an object").remove(name);
        })
    };
    let mut wrong = vec![
        set("aud", json!("somebody-else")),
        set("aud", json!(["somebody-else"])),
        set("iss", json!("somebody-else")),
        set("role", json!("ROOT")),
        set("role", json!("")),
        set("role", Value::Null),
        set("org", json!("no slug!")),
        set("sub", json!("")),
        // No header says these as they are.
        set("sub", json!("jürgen")),
        set("sub", json!(" ann")),
        set("sub", json!("ann\r\nx-vx11-org: acme")),
        set("jti", json!("")),
        set("exp", json!("tomorrow")),
        set("exp", json!(i64::MAX)),
        set("iat", json!(i64::MIN)),
        later("iat", 62),
        later("nbf", 62),
        later("exp", 0),
    ];
    wrong.extend(["sub", "role", "org", "iat", "exp", "jti", "iss", "aud"].map(without));
    let tokens = tokens(&shared());
    for claims in wrong {
        assert_eq!(tokens.verify(&hs256(&claims), at(1)), Err(TokenError::Invalid), "{claims}");
    }
}

#[test]
fn a_clock_that_is_a_minute_ahead_is_forgiven() {
    let claims = with(|claims| claims["iat"] = json!(at(60).as_second()));
    tokens(&shared()).verify(&hs256(&claims), at(1)).expect("good");
}

#[test]
fn no_algorithm_is_no_signature() {
    for (key, kid) in [(pair(), true), (shared(), true), (shared(), false)] {
        for alg in ["none", "None", "NONE", ""] {
            let head = if kid { json!({"alg": alg, "kid": key.id}) } else { json!({"alg": alg}) };
            for signature in ["", "AAAA"] {
                let token = format!("{}.{}.{signature}", part(&head), part(&good_claims()));
                assert_eq!(tokens(&key).verify(&token, at(1)), Err(TokenError::Invalid), "{alg:?}");
            }
        }
    }
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let pair = pair();
    let tokens = tokens(&pair);
    let x = tokens.keys().jwks(at(0)).keys[0].x.clone();
    let public = URL_SAFE_NO_PAD.decode(&x).expect("base64url");
    for alg in ["HS256", "HS384", "EdDSA", "ES256", "RS256"] {
        for secret in [&public[..], x.as_bytes()] {
            let token = signed(&json!({"alg": alg, "kid": pair.id}), &good_claims(), secret);
            assert_eq!(tokens.verify(&token, at(1)), Err(TokenError::Invalid), "{alg}");
        }
    }
}

#[test]
fn the_head_cannot_bring_its_own_key() {
    let (pair, own) = (pair(), tokens(&pair()));
    let x = own.keys().jwks(at(0)).keys[0].x.clone();
    let forged = own.grant(&pilot(), at(0)).expect("granted");
    let (_, rest) = forged.token.expose_secret().split_once('.').expect("three parts");
    let head = json!({"alg": "EdDSA", "kid": pair.id, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x}});
    assert_eq!(tokens(&pair).verify(&format!("{}.{rest}", part(&head)), at(1)), Err(TokenError::Invalid));
}

#[test]
fn an_unknown_key_is_told_apart_so_that_keys_can_be_read_anew() {
    let grant = tokens(&pair()).grant(&pilot(), at(0)).expect("granted");
    assert_eq!(tokens(&pair()).verify(grant.token.expose_secret(), at(1)), Err(TokenError::UnknownKey));
}

#[test]
fn a_payload_that_was_changed_is_refused() {
    for key in [pair(), shared()] {
        let tokens = tokens(&key);
        let grant = tokens.grant(&pilot(), at(0)).expect("granted");
        let parts: Vec<&str> = grant.token.expose_secret().split('.').collect();
        let claims = with(|claims| claims["role"] = json!("ADMIN"));
        let forged = format!("{}.{}.{}", parts[0], part(&claims), parts[2]);
        assert_eq!(tokens.verify(&forged, at(1)), Err(TokenError::Invalid));
        let other = tokens.grant(&Principal { role: Role::Admin, ..pilot() }, at(0)).expect("granted");
        let signature = other.token.expose_secret().rsplit_once('.').expect("three parts").1.to_owned();
        let forged = format!("{}.{}.{signature}", parts[0], parts[1]);
        assert_eq!(tokens.verify(&forged, at(1)), Err(TokenError::Invalid));
    }
}

#[test]
fn garbage_is_refused() {
    let tokens = tokens(&pair());
    for text in ["", ".", "..", "...", "a.b.c", "e30.e30.", &"x".repeat(100_000), "\u{1f600}.é.ü"] {
        assert!(tokens.verify(text, at(1)).is_err(), "{text:.20}");
    }
}
