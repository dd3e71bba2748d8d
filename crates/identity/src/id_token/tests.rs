//! Tokens as providers make them, and as others would like to.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("in range")
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A provider with a key on the curve P-256.
struct Provider {
    pair: EcdsaKeyPair,
    login: LoginState,
}

impl Provider {
    fn new() -> Self {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &SystemRandom::new())
            .expect("it");
        Self { pair, login: LoginState::begin("corp", "/", now()) }
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "kid": "k1", "x": base64(&point[1..33]), "y": base64(&point[33..])})
    }

    fn keys(&self) -> ProviderKeys {
        keys(&[self.jwk()])
    }

    fn claims(&self) -> Value {
        json!({
            "iss": "https://id.example", "aud": "vx11", "sub": "1234", "iat": NOW - 5, "exp": NOW + 300,
            "nonce": self.login.nonce, "email": "ada@example.com", "email_verified": "true",
        })
    }

    fn sign(&self, head: Value, claims: &Value) -> String {
        let message = message(&head, claims);
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).expect("signed");
        format!("{message}.{}", base64(signature.as_ref()))
    }

    fn token(&self, change: Value) -> String {
        let mut claims = self.claims();
        for (name, value) in change.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        self.sign(json!({"alg": "ES256", "kid": "k1"}), &claims)
    }

    fn verify(&self, keys: &ProviderKeys, token: &str) -> Result<IdToken, IdTokenError> {
        let expected = Expected { issuer: "https://id.example", client_id: "vx11", login: &self.login };
        keys.verify(token, expected, now())
    }

    fn refused(&self, token: &str) -> IdTokenError {
        self.verify(&self.keys(), token).expect_err("refused")
    }
}

fn keys(keys: &[Value]) -> ProviderKeys {
    ProviderKeys::parse(json!({ "keys": keys }).to_string().as_bytes()).expect("a key set")
}

fn message(head: &Value, claims: &Value) -> String {
    format!("{}.{}", base64(head.to_string()), base64(claims.to_string()))
}

#[test]
fn a_token_of_this_login_says_who_it_is() {
    let provider = Provider::new();
    let token = provider.verify(&provider.keys(), &provider.token(json!({}))).expect("good");
    assert_eq!((token.sub.as_str(), token.profile.email.as_deref()), ("1234", Some("ada@example.com")));
    assert!(token.profile.email_verified, "some write it as a text");
    let several = provider.token(json!({"aud": ["vx11", "other"], "azp": "vx11"}));
    provider.verify(&provider.keys(), &several).expect("made for us");
    // A head without a key's id, and keys of other kinds and purposes beside.
    let without = provider.sign(json!({"alg": "ES256"}), &provider.claims());
    let strange = [json!({"kty": "new"}), json!({"kty": "oct", "k": "AAAA"}), provider.jwk()];
    provider.verify(&keys(&strange), &without).expect("found by its kind");
}

#[test]
fn what_is_said_has_to_be_right() {
    use IdTokenError as E;
    let provider = Provider::new();
    let refused = |change| provider.refused(&provider.token(change));
    assert_eq!(refused(json!({"iss": "https://id.example/"})), E::Issuer);
    assert_eq!(refused(json!({"iss": "https://evil.example"})), E::Issuer);
    assert_eq!(refused(json!({"aud": "other"})), E::Audience);
    assert_eq!(refused(json!({"aud": []})), E::Audience);
    assert_eq!(refused(json!({"aud": ["vx11", "other"]})), E::Audience, "it doesn't say for whom it was made");
    assert_eq!(refused(json!({"azp": "other"})), E::Audience);
    assert_eq!(refused(json!({"exp": NOW - 60})), E::Time);
    assert_eq!(refused(json!({"iat": NOW + 61})), E::Time);
    assert_eq!(refused(json!({"nbf": NOW + 61})), E::Time);
    assert_eq!(refused(json!({"nonce": "other"})), E::Nonce);
    assert_eq!(refused(json!({"nonce": null})), E::Nonce);
    assert_eq!(refused(json!({"sub": ""})), E::Invalid);
    for missing in ["iss", "aud", "exp", "iat", "sub"] {
        assert_eq!(refused(json!({ missing: null })), E::Invalid, "{missing}");
    }
    assert_eq!(provider.verify(&provider.keys(), &provider.token(json!({"exp": NOW - 59}))).map(|_| ()), Ok(()));
}

#[test]
fn a_token_that_nobody_or_somebody_else_signed_is_refused() {
    use IdTokenError as E;
    let (provider, other) = (Provider::new(), Provider::new());
    let mut forged = provider.token(json!({}));
    let claims = base64(json!({"iss": "https://id.example", "sub": "admin"}).to_string());
    forged =
        format!("{}.{claims}.{}", forged.split('.').next().expect("a head"), forged.rsplit('.').next().expect("one"));
    assert_eq!(provider.refused(&forged), E::Invalid);
    assert_eq!(provider.refused(&other.sign(json!({"alg": "ES256", "kid": "k1"}), &provider.claims())), E::Invalid);
    assert_eq!(provider.refused(&other.sign(json!({"alg": "ES256", "kid": "k2"}), &provider.claims())), E::UnknownKey);
    for head in [json!({"alg": "none"}), json!({"alg": "None", "kid": "k1"}), json!({"kid": "k1"})] {
        for signature in ["", "AAAA"] {
            let token = format!("{}.{signature}", message(&head, &provider.claims()));
            assert_eq!(provider.refused(&token), E::Invalid, "{head}");
        }
    }
    for text in ["", ".", "..", "a.b.c", &"a".repeat(20_000)] {
        assert_eq!(provider.refused(text), E::Invalid, "{text:.20}");
    }
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let provider = Provider::new();
    let point = provider.pair.public_key().as_ref();
    let jwk = provider.jwk();
    for secret in [point, &point[1..], jwk.to_string().as_bytes(), b""] {
        for head in [json!({"alg": "HS256", "kid": "k1"}), json!({"alg": "HS256"})] {
            let message = message(&head, &provider.claims());
            let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
            let token = format!("{message}.{}", base64(signature.as_ref()));
            assert_eq!(provider.refused(&token), IdTokenError::Invalid);
            // Not even where the provider publishes a shared secret.
            let shared = keys(&[jwk.clone(), json!({"kty": "oct", "kid": "k1", "k": base64(secret)})]);
            assert_eq!(provider.verify(&shared, &token).expect_err("refused"), IdTokenError::Invalid);
        }
    }
}

#[test]
fn a_key_verifies_what_it_is_for_and_nothing_else() {
    let provider = Provider::new();
    let with = |change: Value| {
        let mut jwk = provider.jwk();
        jwk.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        provider.verify(&keys(&[jwk]), &provider.token(json!({}))).map(|_| ())
    };
    assert_eq!(with(json!({"alg": "ES256", "use": "sig"})), Ok(()));
    assert_eq!(with(json!({"use": "enc"})), Err(IdTokenError::UnknownKey));
    assert_eq!(with(json!({"alg": "ES384"})), Err(IdTokenError::UnknownKey));
    assert_eq!(with(json!({"crv": "P-384"})), Err(IdTokenError::UnknownKey));
    // The head says EdDSA, the key is on another curve.
    let other = provider.sign(json!({"alg": "EdDSA", "kid": "k1"}), &provider.claims());
    assert_eq!(provider.refused(&other), IdTokenError::UnknownKey);
    // RFC 8037.
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "e", "x": base64(pair.public_key().as_ref())});
    let message = message(&json!({"alg": "EdDSA", "kid": "e"}), &provider.claims());
    let token = format!("{message}.{}", base64(pair.sign(message.as_bytes()).as_ref()));
    provider.verify(&keys(&[jwk]), &token).expect("good");
}

/// RFC 7515, appendix A.2: ring verifies RSA as everybody does.
#[test]
fn rsa_is_the_standards() {
    ring_jwt::install();
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS\
             -pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2\
             CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9\
             gb54h4FRWyuXpoQ";
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb\
                  290Ijp0cnVlfQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9\
                     uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB\
                     _eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rq\
                     Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let key = DecodingKey::from_rsa_components(n, "AQAB").expect("a key");
    let verify =
        |algorithm, signature: &str| jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, algorithm);
    assert!(verify(Algorithm::RS256, signature).expect("taken"));
    assert!(!verify(Algorithm::RS384, signature).expect("taken"));
    assert!(!verify(Algorithm::PS256, signature).expect("taken"));
    assert!(!verify(Algorithm::RS256, &signature.replace("cC4h", "cC4i")).expect("taken"));
    verify(Algorithm::HS256, signature).expect_err("an RSA key is no secret");
    verify(Algorithm::ES256, signature).expect_err("nor on a curve");
}
