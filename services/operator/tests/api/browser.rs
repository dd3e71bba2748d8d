//! A browser in which somebody logs in.

use reqwest::Method;

use crate::app::{Answer, App};
use crate::issuer::{Issuer, SECRET};

pub(crate) const ORIGIN: &str = "http://localhost:8000";
pub(crate) const AUTH: &str = "/operator/api/auth";

/// An operator whose people have accounts at `issuer`.
pub(crate) async fn app(issuer: &Issuer, more: &[(&str, &str)]) -> App {
    let variables = [
        ("VX11_OPERATOR__LOGIN__PUBLIC_URL", ORIGIN),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__KIND", "oidc"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__ISSUER", &issuer.url),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__CLIENT_ID", "vx11"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__CORP__ALLOWED_DOMAINS", r#"["example.com"]"#),
        ("VX11_LOGIN_CORP_SECRET", SECRET),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__HUB__KIND", "github"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__HUB__URL", &issuer.url),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__HUB__CLIENT_ID", "vx11"),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__HUB__ALLOWED_LOGINS", r#"["octocat"]"#),
        ("VX11_OPERATOR__LOGIN__PROVIDERS__HUB__ROLE", "VIEWER"),
        ("VX11_LOGIN_HUB_SECRET", SECRET),
    ];
    App::with(&[&variables, more].concat()).await
}

/// A browser's login that is under way.
pub(crate) struct Begun {
    pub(crate) cookie: String,
    pub(crate) state: String,
    pub(crate) nonce: String,
}

/// The value of a parameter of an address.
pub(crate) fn parameter(location: &str, name: &str) -> String {
    let url = url::Url::parse(location).expect("an address");
    let found = url.query_pairs().find(|(found, _)| found == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The pair of a cookie that an answer sets; `None` where it takes it away, or says nothing of it.
pub(crate) fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("ASCII"));
    let pair = set.filter_map(|set| set.split(';').next()).find(|pair| pair.starts_with(&format!("{name}=")))?;
    (!pair.ends_with('=')).then(|| pair.to_owned())
}

pub(crate) async fn begin(app: &App, issuer: &Issuer, provider: &str) -> Begun {
    let path = format!("{AUTH}/login/{provider}?return_to=%2Finterventions%3Fid%3D1");
    let begun = Answer::of(app.anyone(Method::GET, &path)).await;
    assert_eq!(begun.status, 302, "{}", begun.body);
    let location = begun.header("location").to_owned();
    assert_eq!(parameter(&location, "redirect_uri"), format!("{ORIGIN}{AUTH}/callback/{provider}"));
    assert_eq!(parameter(&location, "code_challenge_method"), "S256");
    let (state, nonce) = (parameter(&location, "state"), parameter(&location, "nonce"));
    issuer.says(|says| {
        says.challenge = parameter(&location, "code_challenge");
        says.claims = issuer.claims(&nonce);
        says.token = None;
    });
    Begun { cookie: cookie(&begun, "vx11_login").expect("a cookie"), state, nonce }
}

pub(crate) async fn finish(app: &App, begun: &Begun, provider: &str) -> Answer {
    let path = format!("{AUTH}/callback/{provider}?code=the-code&state={}&session_state=x", begun.state);
    Answer::of(app.anyone(Method::GET, &path).header("cookie", &begun.cookie)).await
}

/// A login that succeeds: the session's cookie.
pub(crate) async fn log_in(app: &App, issuer: &Issuer, provider: &str) -> String {
    let begun = begin(app, issuer, provider).await;
    let done = finish(app, &begun, provider).await;
    assert_eq!((done.status, done.header("location")), (302, "/interventions?id=1"), "{}", done.body);
    assert_eq!(cookie(&done, "vx11_login"), None, "it is good for one login");
    cookie(&done, "vx11_refresh").expect("a session")
}

pub(crate) async fn refresh(app: &App, session: &str) -> Answer {
    let request = app.anyone(Method::POST, &format!("{AUTH}/refresh")).header("sec-fetch-site", "same-origin");
    Answer::of(request.header("cookie", session)).await
}

/// An access token of a session that goes on, and the session's next cookie.
pub(crate) async fn access(app: &App, session: &str) -> (String, String) {
    let answer = refresh(app, session).await;
    let token = answer.data()["access_token"].as_str().expect("a token").to_owned();
    (token, cookie(&answer, "vx11_refresh").expect("the next one"))
}

pub(crate) async fn whoami(app: &App, token: &str) -> Answer {
    Answer::of(app.anyone(Method::GET, "/operator/api/whoami").bearer_auth(token)).await
}

/// How often this is in the audit log of Ada.
pub(crate) async fn logged(app: &App, action: &str, outcome: &str) -> usize {
    let query = format!("target=corp:ada@example.com&action={action}&outcome={outcome}");
    let rows = app.get(&format!("/operator/api/audit-log?{query}")).await;
    rows.data()["items"].as_array().map_or(0, Vec::len)
}
