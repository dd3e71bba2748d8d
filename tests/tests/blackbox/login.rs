//! People who log in at a real provider of OpenID Connect (the package oidc-provider from npm), through the edge, with
//! PKCE: all that their browser does is done here by hand.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use vx11_tests::{Caller, Process, TOKEN, base_env, wait_until};

use crate::node;

const AUTH: &str = "/operator/api/auth";

/// A browser: it keeps cookies of each host, and says from which page a request is.
struct Browser {
    http: Client,
    /// By host and port, path, and name.
    cookies: BTreeMap<(String, String, String), String>,
}

impl Browser {
    fn new() -> Self {
        // Makes the process's cryptography known.
        let _ = Caller::new(String::new(), None);
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).tls_certs_only([]).build();
        Self { http: http.expect("a client"), cookies: BTreeMap::new() }
    }

    async fn send(&mut self, method: Method, url: &str, form: Option<&str>, origin: Option<&str>) -> Response {
        let mut parts = url.splitn(4, '/').skip(2);
        let host = parts.next().expect("a host").to_owned();
        let path = format!("/{}", parts.next().unwrap_or_default());
        let own = self.cookies.iter().filter(|((of, below, _), _)| *of == host && path.starts_with(below));
        let line: Vec<_> = own.map(|((_, _, name), value)| format!("{name}={value}")).collect();
        let mut request = self.http.request(method, url).header(COOKIE, line.join("; "));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        }
        let answer = request.send().await.expect("an answer");
        for set in answer.headers().get_all(SET_COOKIE) {
            let set = set.to_str().expect("ASCII");
            let (name, value) = set.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
            let mut attributes = set.split("; ").filter_map(|attribute| attribute.split_once('='));
            let below = attributes.find(|(name, _)| name.eq_ignore_ascii_case("path")).map_or("/", |(_, path)| path);
            let key = (host.clone(), below.to_owned(), name.to_owned());
            match value {
                "" => self.cookies.remove(&key),
                value => self.cookies.insert(key, value.to_owned()),
            };
        }
        answer
    }

    /// Goes to `url`, and wherever it is sent, until it is at `end`; forms of the provider's are filled in.
    async fn log_in(&mut self, url: &str, account: &str, end: &str) -> Response {
        let (mut url, mut form) = (url.to_owned(), None);
        for _ in 0..20 {
            let method = if form.is_some() { Method::POST } else { Method::GET };
            let answer = self.send(method, &url, form.as_deref(), None).await;
            let here = url.clone();
            let Some(location) = answer.headers().get(LOCATION).map(|to| to.to_str().expect("ASCII").to_owned()) else {
                if url.contains("/interaction/") {
                    let page = answer.text().await.expect("a page");
                    let is_login = page.contains("value=\"login\"");
                    let login = format!("prompt=login&login={account}&password=any");
                    form = Some(if is_login { login } else { "prompt=consent".to_owned() });
                    continue;
                }
                return answer;
            };
            if here.starts_with(end) {
                return answer;
            }
            form = None;
            let origin = here.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            url = if location.starts_with('/') { format!("{origin}{location}") } else { location };
        }
        panic!("it is sent about without an end, last to {url}")
    }
}

/// VX11 behind its edge, and the provider.
struct Home {
    _provider: Process,
    _vx11: Process,
    _data: tempfile::TempDir,
    edge: String,
}

impl Home {
    fn start() -> Self {
        let edge = format!("http://127.0.0.1:{}", vx11_testing_servers::lasting_port());
        let callback = format!("{edge}{AUTH}/callback/corp");
        let mut provider = Process::spawn("provider", node("oidc_provider.mjs", &[&callback])).expect("starts");
        let issuer = provider.line("ISSUER ").expect("it listens").replace("ISSUER ", "");
        let data = tempfile::tempdir().expect("a directory");
        let mut env = base_env(data.path());
        for (name, value) in [
            ("VX11_TENTACULO__BIND", edge.trim_start_matches("http://")),
            ("VX11_OPERATOR__LOGIN__PUBLIC_URL", &edge),
            ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__KIND", "oidc"),
            ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__ISSUER", &issuer),
            ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__CLIENT_ID", "vx11"),
            ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__ALLOWED_DOMAINS", r#"["example.com"]"#),
            ("VX11_LOGIN_CORP_SECRET", "a secret of the black-box tests' own"),
        ] {
            env.insert(name.to_owned(), value.to_owned());
        }
        let mut vx11 = Process::start("vx11", &env, &["up"]).expect("starts");
        vx11.line("Ctrl-C").expect("the summary's last line");
        Self { _provider: provider, _vx11: vx11, _data: data, edge }
    }

    async fn log_in(&self, browser: &mut Browser, account: &str) -> Response {
        let url = format!("{}{AUTH}/login/corp?return_to=%2Fhere", self.edge);
        browser.log_in(&url, account, &format!("{}{AUTH}/callback/", self.edge)).await
    }

    /// What a page of ours has the browser send.
    async fn post(&self, browser: &mut Browser, path: &str) -> (u16, Value) {
        let answer = browser.send(Method::POST, &format!("{}{path}", self.edge), None, Some(&self.edge)).await;
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    async fn whoami(&self, token: &str) -> (u16, Value) {
        let request = Caller::new(self.edge.clone(), None).request(Method::GET, "/operator/api/whoami");
        let answer = request.bearer_auth(token).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }
}

fn token(answer: &(u16, Value)) -> String {
    assert_eq!(answer.0, 200, "{}", answer.1);
    answer.1["data"]["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn a_pilot_logs_in_at_a_real_provider_stays_leaves_and_is_shut_out() {
    let home = Home::start();
    let mut browser = Browser::new();
    let done = home.log_in(&mut browser, "ada").await;
    assert_eq!(done.status(), 302, "{}", done.text().await.unwrap_or_default());
    assert_eq!(done.headers()[LOCATION], "/here");

    // A pilot by its first login; what it may is an OPERATOR's.
    let refresh = format!("{AUTH}/refresh");
    let first = token(&home.post(&mut browser, &refresh).await);
    let (status, me) = home.whoami(&first).await;
    assert_eq!((status, &me["data"]["subject"]), (200, &json!("corp:ada@example.com")), "{me}");
    assert_eq!((&me["data"]["role"], &me["data"]["org"]), (&json!("OPERATOR"), &json!("default")));
    let platform = Caller::new(home.edge.clone(), Some(TOKEN));
    let pilots = platform.request(Method::GET, "/operator/api/pilots").send().await.expect("an answer");
    let pilots: Value = pilots.json().await.expect("JSON");
    assert_eq!(pilots["data"]["items"][0]["name"], "Dr. ada", "{pilots}");
    assert_eq!(pilots["data"]["items"][0]["oauth_id"], "ada");

    // The cookie of before is somebody else's now, as soon as it comes again after its grace; so it is everybody's.
    let stolen: BTreeMap<_, _> = browser.cookies.clone();
    let second = token(&home.post(&mut browser, &refresh).await);
    assert_ne!(first, second);
    assert_ne!(stolen, browser.cookies, "each is used once");
    let mut thief = Browser { cookies: stolen, ..Browser::new() };
    // Within ten seconds it may be another tab: it gets no cookie that goes on.
    let refused = wait_until("the grace is over", async || {
        let (status, body) = home.post(&mut thief, &refresh).await;
        assert!(matches!(status, 200 | 401), "{status}: {body}");
        (status == 401).then_some(body)
    });
    assert_eq!(refused.await["error"]["code"], "login_failed");
    assert_eq!(home.post(&mut browser, &refresh).await.0, 401, "nobody knows which of them is the thief");
    assert_eq!(home.whoami(&second).await.1["error"]["code"], "token_expired");

    // Again, where the provider still knows the browser; then it leaves.
    assert_eq!(home.log_in(&mut browser, "ada").await.status(), 302);
    let third = token(&home.post(&mut browser, &refresh).await);
    assert_eq!(home.whoami(&third).await.0, 200);
    let kept = browser.cookies.clone();
    assert_eq!(home.post(&mut browser, &format!("{AUTH}/logout")).await.0, 204);
    let mut kept = Browser { cookies: kept, ..Browser::new() };
    assert_eq!(home.post(&mut kept, &refresh).await.0, 401, "a copy of the cookie is worth nothing either");

    // Shut out: neither the session nor another login lets it in.
    assert_eq!(home.log_in(&mut browser, "ada").await.status(), 302);
    let fourth = token(&home.post(&mut browser, &refresh).await);
    let out = platform.request(Method::PATCH, "/operator/api/pilots/corp:ada@example.com");
    let out = out.json(&json!({"disabled": true})).send().await.expect("an answer");
    assert_eq!(out.status(), 200);
    assert_eq!(home.whoami(&fourth).await.0, 403);
    assert_eq!(home.post(&mut browser, &refresh).await.0, 401);
    let again = home.log_in(&mut browser, "ada").await;
    assert_eq!(again.status(), 401, "{}", again.text().await.unwrap_or_default());
}

#[tokio::test]
async fn who_is_not_vouched_for_does_not_come_in_and_the_public_keys_are_public() {
    let home = Home::start();
    let refused = home.log_in(&mut Browser::new(), "unverified").await;
    let status = refused.status();
    let body: Value = refused.json().await.expect("JSON");
    assert_eq!((status.as_u16(), &body["error"]["code"]), (401, &json!("login_failed")), "{body}");
    for path in ["/operator/api/jwks", "/.well-known/jwks.json"] {
        let keys = Caller::new(home.edge.clone(), None).request(Method::GET, path).send().await.expect("an answer");
        assert!(keys.headers()["cache-control"].to_str().expect("ASCII").starts_with("public"), "{:?}", keys.headers());
        let keys: Value = keys.json().await.expect("JSON");
        assert_eq!((&keys["keys"][0]["kty"], &keys["keys"][0]["d"]), (&json!("OKP"), &Value::Null), "{path}");
    }
}
