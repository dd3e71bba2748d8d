//! Who comes in, by what a provider says.

use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::browser::{AUTH, ORIGIN, access, app, begin, cookie, finish, log_in, whoami};
use crate::issuer::{Issuer, SECRET, unsigned};

#[tokio::test]
async fn an_identity_token_that_proves_nothing_lets_nobody_in() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let now = jiff::Timestamp::now().as_second();
    let (es256, other) = (json!({"alg": "ES256", "kid": "k1"}), Issuer::start());
    // Good claims and how they become a token, for a login with this nonce.
    type Forge<'a> = Box<dyn Fn(Value) -> String + 'a>;
    let with = |change: Value| -> Forge<'_> {
        let es256 = es256.clone();
        let issuer = &issuer;
        Box::new(move |mut claims| {
            claims.as_object_mut().expect("one").extend(change.as_object().expect("one").clone());
            issuer.sign(&es256, &claims)
        })
    };
    let forged: Vec<(&str, Forge<'_>)> = vec![
        ("another issuer's", with(json!({"iss": "https://evil.example"}))),
        ("for another client", with(json!({"aud": "another"}))),
        ("for several, made for another", with(json!({"aud": ["vx11", "b"], "azp": "b"}))),
        ("expired", with(json!({"exp": now - 61, "iat": now - 361}))),
        ("from the future", with(json!({"iat": now + 300, "exp": now + 600}))),
        ("of another login", with(json!({"nonce": "another"}))),
        ("of no login", with(json!({"nonce": null}))),
        ("of nobody", with(json!({"sub": ""}))),
        ("not signed", Box::new(|claims| format!("{}.", unsigned(&json!({"alg": "none"}), &claims)))),
        ("signed by somebody else", Box::new(|claims| other.sign(&es256, &claims))),
        (
            "signed with the public key as the secret",
            Box::new(|claims| {
                let message = unsigned(&json!({"alg": "HS256", "kid": "k1"}), &claims);
                hmac_signed(&message, &issuer.public_key())
            }),
        ),
        (
            "signed with our own secret",
            Box::new(|claims| hmac_signed(&unsigned(&json!({"alg": "HS256"}), &claims), SECRET.as_bytes())),
        ),
        (
            "changed",
            Box::new(|claims| {
                let good = issuer.sign(&es256, &claims);
                let mut evil = claims;
                evil["email"] = json!("root@example.com");
                format!("{}.{}", unsigned(&es256, &evil), good.rsplit('.').next().expect("a signature"))
            }),
        ),
        ("no token", Box::new(|_| "nonsense".to_owned())),
    ];
    for (what, forge) in forged {
        let begun = begin(&app, &issuer, "corp").await;
        issuer.says(|says| says.token = Some(forge(issuer.claims(&begun.nonce))));
        let out = finish(&app, &begun, "corp").await;
        assert_eq!((out.status, out.code()), (401, "login_failed"), "{what}: {}", out.body);
        assert_eq!(cookie(&out, "vx11_refresh"), None, "{what}");
        assert!(out.header("set-cookie").starts_with("vx11_login=;"), "{what}: the login is over");
    }
    assert_eq!(app.get("/operator/api/pilots").await.data()["items"], json!([]));
    log_in(&app, &issuer, "corp").await;
}

pub(crate) fn hmac_signed(message: &str, secret: &[u8]) -> String {
    use base64::Engine;
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

#[tokio::test]
async fn an_answer_to_another_login_or_from_another_provider_is_refused() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let (one, two) = (begin(&app, &issuer, "corp").await, begin(&app, &issuer, "corp").await);
    let call = async |provider: &str, query: String, cookie: &str| {
        let path = format!("{AUTH}/callback/{provider}?{query}");
        Answer::of(app.anyone(Method::GET, &path).header("cookie", cookie)).await
    };
    let right = format!("code=the-code&state={}", two.state);
    for (what, provider, query, cookie) in [
        ("another login's state", "corp", format!("code=the-code&state={}", one.state), &two.cookie),
        ("another browser", "corp", right.clone(), &one.cookie),
        ("no cookie", "corp", right.clone(), &String::new()),
        ("a made-up cookie", "corp", right.clone(), &"vx11_login=AAAA".to_owned()),
        ("another provider", "hub", right.clone(), &two.cookie),
        ("no state", "corp", "code=the-code".to_owned(), &two.cookie),
        ("another issuer (RFC 9207)", "corp", format!("{right}&iss=https%3A%2F%2Fevil.example"), &two.cookie),
        ("another code", "corp", right.replace("the-code", "another"), &two.cookie),
        ("no code", "corp", format!("state={}", two.state), &two.cookie),
        ("refused there", "corp", format!("error=access_denied&state={}", two.state), &two.cookie),
    ] {
        let out = call(provider, query, cookie).await;
        assert_eq!((out.status, out.code()), (401, "login_failed"), "{what}: {}", out.body);
        assert!(self::cookie(&out, "vx11_refresh").is_none() && out.header("location").is_empty(), "{what}");
    }
    assert_eq!(call("nobody", right.clone(), &two.cookie).await.status, 404);
    // A code goes along with what it was asked with, and with nothing else.
    issuer.says(|says| says.challenge = "x".repeat(43));
    assert_eq!(call("corp", right, &two.cookie).await.status, 401);
    assert_eq!(app.get("/operator/api/pilots").await.data()["items"], json!([]));
}

#[tokio::test]
async fn only_who_is_allowed_comes_in() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    for change in [
        json!({"email": "eve@evil.example"}),
        json!({"email_verified": false}),
        json!({"email": "ada@example.com.evil.example"}),
    ] {
        let begun = begin(&app, &issuer, "corp").await;
        issuer.says(|says| says.claims.as_object_mut().expect("one").extend(change.as_object().expect("one").clone()));
        let out = finish(&app, &begun, "corp").await;
        assert_eq!((out.status, out.code()), (401, "login_failed"), "{change}: {}", out.body);
        assert!(out["detail"].as_str().is_some_and(|detail| detail.contains("may not come in")), "{}", out.body);
    }
    // What the identity token leaves out, userinfo says; of the same person.
    let begun = begin(&app, &issuer, "corp").await;
    issuer.says(|says| {
        says.claims["email"] = Value::Null;
        says.userinfo = json!({"sub": "S-2", "email": "ada@example.com", "email_verified": true});
    });
    assert_eq!(finish(&app, &begun, "corp").await.status, 401);
    let begun = begin(&app, &issuer, "corp").await;
    issuer.says(|says| {
        says.claims["email"] = Value::Null;
        says.userinfo["sub"] = json!("S-1");
    });
    assert_eq!(finish(&app, &begun, "corp").await.status, 302);
}

#[tokio::test]
async fn github_says_who_it_is_to_its_access_token() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    issuer.says(|says| {
        says.github_user = json!({"id": 583231, "login": "octocat", "name": "The Octocat", "email": "x@evil.example"});
        says.github_emails = json!([
            {"email": "old@example.com", "primary": false, "verified": true},
            {"email": "new@example.com", "primary": true, "verified": true},
            {"email": "root@example.com", "primary": false, "verified": false},
        ]);
    });
    let (token, _) = access(&app, &log_in(&app, &issuer, "hub").await).await;
    let me = whoami(&app, &token).await;
    assert_eq!((&me.data()["subject"], &me.data()["role"]), (&json!("hub:octocat"), &json!("VIEWER")));
    let pilots = app.get("/operator/api/pilots").await;
    assert_eq!(pilots.data()["items"][0]["email"], "new@example.com");
    assert_eq!(pilots.data()["items"][0]["oauth_id"], "583231");
    // The name is free again and another's, or another name is none of those that may come.
    for (id, login) in [(7, "octocat"), (583_231, "renamed")] {
        let begun = begin(&app, &issuer, "hub").await;
        issuer.says(|says| says.github_user = json!({"id": id, "login": login}));
        let out = finish(&app, &begun, "hub").await;
        assert_eq!((out.status, out.code()), (401, "login_failed"), "{login}: {}", out.body);
    }
    let bodies = issuer.says(|says| says.asked.join("\n"));
    assert!(bodies.contains("code_verifier=") && bodies.contains("client_secret="), "{bodies}");
}

#[tokio::test]
async fn a_provider_that_is_away_or_answers_nonsense_is_told_from_a_refusal() {
    let issuer = Issuer::start();
    let app = app(&issuer, &[]).await;
    let begun = async || Answer::of(app.anyone(Method::GET, &format!("{AUTH}/login/corp"))).await;
    for change in [
        json!({"issuer": "https://evil.example"}),
        json!({"token_endpoint": "http://evil.example/token"}),
        json!({"jwks_uri": 7}),
    ] {
        issuer.says(|says| says.document = change.clone());
        let out = begun().await;
        assert_eq!((out.status, out.code()), (502, "upstream_error"), "{change}: {}", out.body);
        assert!(!out.body.contains("evil"), "the log has the rest: {}", out.body);
    }
    issuer.says(|says| says.document = json!({}));
    assert_eq!(begun().await.status, 302);
    let nowhere = App::with(&[
        ("VX11_OPERATOR__LOGIN__PUBLIC_URL", ORIGIN),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__KIND", "oidc"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__ISSUER", "http://127.0.0.1:9"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__CLIENT_ID", "vx11"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__ALLOW_EVERYBODY", "true"),
    ])
    .await;
    let out = Answer::of(nowhere.anyone(Method::GET, &format!("{AUTH}/login/corp"))).await;
    assert_eq!((out.status, out.code()), (503, "service_unavailable"), "{}", out.body);
}

#[tokio::test]
async fn nobody_logs_in_where_nothing_is_configured() {
    let app = App::start().await;
    assert_eq!(Answer::of(app.anyone(Method::GET, &format!("{AUTH}/providers"))).await.data()["providers"], json!([]));
    for (method, path) in [
        (Method::GET, "login/github"),
        (Method::GET, "callback/github?code=a&state=b"),
        (Method::POST, "login"),
        (Method::POST, "refresh"),
        (Method::POST, "logout"),
    ] {
        let request = app.anyone(method, &format!("{AUTH}/{path}")).header("origin", ORIGIN);
        let out = Answer::of(request.json(&json!({"login": "root", "password": "x"}))).await;
        assert_eq!((out.status, out.code()), (404, "not_found"), "{path}: {}", out.body);
    }
}
