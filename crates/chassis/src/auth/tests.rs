//! Who is let in where, and as whom.

use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::test::TestRequest;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpResponse};
use async_trait::async_trait;
use vx11_contracts::identity::{Permission, Role, Scope, Scopes};
use vx11_identity::{AccessTokens, KeyKind, SigningKeys, StoredKey, TokenError};

use super::*;

const SECRET: &str = "the shared token";
const RULES: &[Rule] = &[
    Rule::new(Method::GET, "/login", Access::Public),
    Rule::new(Method::GET, "/live", Access::Public),
    Rule::new(Method::GET, "/me", Access::Known),
    Rule::new(Method::GET, "/interventions/{id}", Access::Needs(Permission::ReadInterventions)),
    Rule::new(Method::POST, "/interventions/{id}/approve", Access::Needs(Permission::DecideInterventions)),
    Rule::new(Method::POST, "/pilot/kill-switch", Access::Needs(Permission::KillSwitch)),
    Rule::new(Method::GET, "/orgs", Access::Needs(Permission::ManageOrgs)),
    Rule::new(Method::GET, "/events", Access::Needs(Permission::ReadSessions)),
    Rule::new(Method::POST, "/events", Access::Needs(Permission::ReadSessions)),
];

/// Answers who it takes the caller for.
async fn who(caller: Caller) -> HttpResponse {
    let Principal { org, subject, role, scopes } = caller.0;
    HttpResponse::Ok().body(format!("{org} {subject} {role} [{scopes}]"))
}

/// Answers who it takes the caller for, from the request or else from what comes later.
async fn later(mut proof: Proof, request: HttpRequest) -> HttpResponse {
    let said = request.headers().get("x-later").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let proven = match proof.brought().await {
        Some(proven) => proven,
        None => proof.of(said).await,
    };
    let who = proven.map(|standing| {
        let Principal { org, subject, role, scopes } = &standing.caller().0;
        format!("{org} {subject} {role} [{scopes}]")
    });
    HttpResponse::Ok().body(who.unwrap_or_else(|refusal| format!("{refusal:?}")))
}

async fn anybody() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn routes(app: &mut ServiceConfig) {
    for rule in RULES.iter().filter(|rule| rule.access != Access::Public) {
        app.route(rule.pattern, web::method(rule.method.clone()).to(who));
    }
    app.route("/login", web::get().to(anybody)).route("/login/who", web::get().to(who));
    app.route("/live", web::get().to(later));
    app.route("/new", web::get().to(anybody)).route("/me", web::head().to(who));
}

/// Knows access tokens, one API key, and how often it was asked.
#[derive(Default)]
struct Known {
    tokens: Option<AccessTokens>,
    asked: AtomicUsize,
    denied: AtomicUsize,
}

#[async_trait]
impl Verifier for Known {
    async fn verify(&self, secret: &str) -> Result<Principal, Refusal> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match secret {
            "the key of an agent" => return Ok(principal("acme", Role::Operator, [Scope::Agent])),
            "the key of a guest" => {
                return Ok(Principal { subject: "guest".into(), ..principal("acme", Role::Viewer, Scope::ALL) });
            }
            "of a store that is down" => return Err(Refusal::Unavailable),
            _ => {}
        }
        let tokens = self.tokens.as_ref().ok_or(Refusal::Invalid)?;
        match tokens.verify(secret, jiff::Timestamp::now()) {
            Ok(claimed) => Ok(claimed.principal),
            Err(TokenError::Expired) => Err(Refusal::Expired),
            Err(_) => Err(Refusal::Invalid),
        }
    }

    /// What was made for a token that was revoked doesn't stand.
    async fn stands(&self, _: &Principal, minted: &Minted) -> Result<(), Refusal> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if minted.by_token.as_deref() == Some("revoked") { Err(Refusal::Invalid) } else { Ok(()) }
    }

    fn may_be_in_address(&self, secret: &str) -> bool {
        secret != "the key of an agent"
    }

    /// Guests have gone by the time that they are let in.
    fn let_in(&self, _: &HttpRequest, principal: &Principal) -> bool {
        &*principal.subject != "guest"
    }

    fn denied(&self, _: &HttpRequest, _: &Principal) {
        self.denied.fetch_add(1, Ordering::Relaxed);
    }
}

fn principal(org: &str, role: Role, scopes: impl IntoIterator<Item = Scope>) -> Principal {
    let scopes = scopes.into_iter().collect();
    Principal { org: org.parse().expect("an id"), subject: "someone".into(), role, scopes }
}

fn pilot(role: Role) -> Principal {
    principal("acme", role, Scopes::ALL.iter())
}

fn tokens() -> AccessTokens {
    let key = StoredKey::first(KeyKind::EdDsa, jiff::Timestamp::UNIX_EPOCH);
    let keys = SigningKeys::new([&key]).expect("a key");
    AccessTokens::new(keys, "vx11", "vx11", jiff::SignedDuration::from_mins(15))
}

fn grant(tokens: &AccessTokens, principal: &Principal) -> String {
    let grant = tokens.grant(principal, jiff::Timestamp::now()).expect("granted");
    grant.token.expose_secret().to_owned()
}

/// Wrong tokens that were counted.
#[derive(Default)]
struct Counted(AtomicUsize);

impl crate::server::Admission for Counted {
    fn admit(&self, _: &HttpRequest) -> Result<(), ApiError> {
        Ok(())
    }

    fn may_present_token(&self, _: &HttpRequest) -> Result<(), ApiError> {
        Ok(())
    }

    fn wrong_token(&self, _: &HttpRequest) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Fixture {
    guard: Arc<Guard>,
    known: Arc<Known>,
    counted: Arc<Counted>,
    tokens: AccessTokens,
}

fn fixture() -> Fixture {
    let (tokens, counted) = (tokens(), Arc::new(Counted::default()));
    let known = Arc::new(Known { tokens: Some(tokens.clone()), ..Known::default() });
    let guard = Guard {
        token: Some(SECRET.into()),
        stream_paths: &["/events", "/live"],
        admit: Some(counted.clone()),
        credentials: None,
        verifier: Some(known.clone()),
        rules: RULES,
    };
    Fixture { guard: Arc::new(guard), known, counted, tokens }
}

impl Fixture {
    async fn ask(&self, request: TestRequest) -> (StatusCode, String) {
        let app = App::new().app_data(ThinData(self.guard.clone())).configure(routes).wrap(from_fn(guard));
        let app = actix_web::test::init_service(app).await;
        let response = actix_web::test::call_service(&app, request.to_request()).await;
        let status = response.status();
        let body = actix_web::test::read_body(response).await;
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn status(&self, method: Method, path: &str, token: &str) -> u16 {
        let request = TestRequest::with_uri(path).method(method);
        let request = if token.is_empty() { request } else { request.insert_header((TOKEN, token)) };
        self.ask(request).await.0.as_u16()
    }

    async fn who(&self, path: &str, token: &str) -> String {
        self.ask(TestRequest::with_uri(path).insert_header((AUTHORIZATION, format!("Bearer {token}")))).await.1
    }
}

#[actix_web::test]
async fn each_kind_of_secret_makes_its_own_principal() {
    let fixture = fixture();
    let jwt = grant(&fixture.tokens, &pilot(Role::Viewer));
    let all = Scopes::ALL;
    assert_eq!(fixture.who("/me", &jwt).await, format!("acme someone VIEWER [{all}]"));
    assert_eq!(fixture.who("/me", "the key of an agent").await, "acme someone OPERATOR [agent]");
    assert_eq!(fixture.known.asked.swap(0, Ordering::Relaxed), 2);
    assert_eq!(fixture.who("/me", SECRET).await, format!("default service ADMIN [{all}]"));
    assert_eq!(fixture.known.asked.load(Ordering::Relaxed), 0, "the shared token is compared, and that is all");
}

#[actix_web::test]
async fn the_services_act_for_the_organisation_that_they_name_and_others_for_their_own() {
    use crate::header_names::ORG;
    let fixture = fixture();
    let ask = |token: &str, org: &str| {
        fixture.ask(TestRequest::with_uri("/me").insert_header((TOKEN, token)).insert_header((ORG, org)))
    };
    assert!(ask(SECRET, "globex").await.1.starts_with("globex service ADMIN"));
    assert_eq!(ask(SECRET, "no slug!").await.0, 400);
    let jwt = grant(&fixture.tokens, &pilot(Role::Admin));
    assert!(ask(&jwt, "globex").await.1.starts_with("acme someone"));
}

#[actix_web::test]
async fn every_role_may_what_the_rules_say() {
    let fixture = fixture();
    let table = [
        (Method::GET, "/interventions/1", [200, 200, 200]),
        (Method::POST, "/interventions/1/approve", [200, 200, 403]),
        (Method::POST, "/pilot/kill-switch", [200, 403, 403]),
        (Method::GET, "/orgs", [403, 403, 403]),
        (Method::HEAD, "/me", [200, 200, 200]),
        (Method::GET, "/new", [403, 403, 403]),
        (Method::DELETE, "/interventions/1", [403, 403, 403]),
        (Method::GET, "/nothing/here", [403, 403, 403]),
    ];
    for (method, path, expected) in table {
        for (role, expected) in Role::ALL.into_iter().zip(expected) {
            let jwt = grant(&fixture.tokens, &pilot(role));
            assert_eq!(fixture.status(method.clone(), path, &jwt).await, expected, "{method} {path} {role}");
        }
        assert_eq!(fixture.status(method.clone(), path, "").await, 401, "{method} {path}");
    }
    let keeper = grant(&fixture.tokens, &principal("default", Role::Admin, Scopes::ALL.iter()));
    assert_eq!(fixture.status(Method::GET, "/orgs", &keeper).await, 200);
    assert_eq!(fixture.status(Method::GET, "/new", SECRET).await, 200, "the platform's own is not asked");
    assert!(fixture.known.denied.load(Ordering::Relaxed) > 0);
    assert_eq!(fixture.counted.0.load(Ordering::Relaxed), 0, "who is known guesses nothing");
}

#[actix_web::test]
async fn an_agents_key_decides_nothing() {
    let fixture = fixture();
    for (method, path) in [(Method::POST, "/interventions/1/approve"), (Method::GET, "/interventions/1")] {
        assert_eq!(fixture.status(method, path, "the key of an agent").await, 403);
    }
}

#[actix_web::test]
async fn what_is_nobodys_is_refused_and_counted_and_what_expired_is_not_a_guess() {
    let fixture = fixture();
    assert_eq!(fixture.status(Method::GET, "/me", "wrong").await, 403);
    assert_eq!(fixture.counted.0.load(Ordering::Relaxed), 1);
    let foreign = grant(&tokens(), &pilot(Role::Admin));
    assert_eq!(fixture.status(Method::GET, "/me", &foreign).await, 403);
    assert_eq!(fixture.counted.0.load(Ordering::Relaxed), 2);

    let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    let expired = fixture.tokens.grant(&pilot(Role::Admin), long_ago).expect("granted");
    assert_eq!(fixture.status(Method::GET, "/me", expired.token.expose_secret()).await, 401);
    assert_eq!(fixture.status(Method::GET, "/me", "of a store that is down").await, 503);
    assert_eq!(fixture.status(Method::GET, "/me", "the key of a guest").await, 503, "its service knows nothing of it");
    assert_eq!(fixture.status(Method::GET, "/me", "").await, 401);
    assert_eq!(fixture.counted.0.load(Ordering::Relaxed), 2);
}

#[actix_web::test]
async fn what_is_open_is_open_whatever_is_presented() {
    let fixture = fixture();
    let jwt = grant(&fixture.tokens, &pilot(Role::Viewer));
    for token in ["", "wrong", SECRET, "of a store that is down", &jwt] {
        assert_eq!(fixture.status(Method::GET, "/login", token).await, 200, "{token}");
    }
    assert_eq!(fixture.status(Method::POST, "/login", "").await, 401);
    assert_eq!(fixture.counted.0.load(Ordering::Relaxed), 0);
}

#[actix_web::test]
async fn a_handler_that_asks_who_calls_is_not_reached_by_strangers() {
    const OPEN: &[Rule] = &[Rule::new(Method::GET, "/login/who", Access::Public)];
    let Fixture { guard, known, counted, tokens } = fixture();
    let stream_paths = guard.stream_paths;
    let admit: Option<Admit> = Some(counted.clone());
    let guard = Guard {
        token: Some(SECRET.into()),
        stream_paths,
        admit,
        credentials: None,
        verifier: Some(known.clone()),
        rules: OPEN,
    };
    let fixture = Fixture { guard: Arc::new(guard), known, counted, tokens };
    assert_eq!(fixture.status(Method::GET, "/login/who", "").await, 401);
    assert_eq!(fixture.status(Method::GET, "/login/who", "wrong").await, 401);
    let jwt = grant(&fixture.tokens, &pilot(Role::Viewer));
    assert_eq!(fixture.status(Method::GET, "/login/who", &jwt).await, 200);

    let open = Guard { token: None, stream_paths, admit: None, credentials: None, verifier: None, rules: &[] };
    let fixture = Fixture { guard: Arc::new(open), ..fixture };
    assert_eq!(fixture.status(Method::GET, "/new", "").await, 200, "a service without a token lets all in");
    assert_eq!(fixture.status(Method::GET, "/me", "").await, 401, "and knows none of them");
}

#[actix_web::test]
async fn tokens_in_addresses_are_for_streams_and_know_whose_they_are() {
    let fixture = fixture();
    let (secret, now) = (SecretString::from(SECRET), SystemTime::now());
    let ask = async |method, path: &str, token: &str| {
        fixture.ask(TestRequest::with_uri(&format!("{path}?token={token}")).method(method)).await
    };
    let pilots = mint_stream_token_for(&secret, &pilot(Role::Operator), None, now);
    assert_eq!(ask(Method::GET, "/events", &pilots).await.1, "acme someone OPERATOR [read]");
    let services = mint_stream_token(&secret, now);
    assert_eq!(ask(Method::GET, "/events", &services).await.1, "default service ADMIN [read]");
    let jwt = grant(&fixture.tokens, &pilot(Role::Viewer));
    assert!(ask(Method::GET, "/events", &jwt).await.1.starts_with("acme someone VIEWER"));
    for token in [&pilots, &services, &jwt] {
        assert_eq!(ask(Method::POST, "/events", token).await.0, 401);
        assert_eq!(ask(Method::GET, "/me", token).await.0, 401);
    }
    for token in [SECRET, "1.x", "1.e30.x", "wrong", "the key of an agent"] {
        assert_eq!(ask(Method::GET, "/events", &token.replace(' ', "+")).await.0, 403, "{token}");
    }
}

#[actix_web::test]
async fn a_connection_may_say_later_who_it_is() {
    use crate::header_names::ORG;
    let fixture = fixture();
    let (secret, now) = (SecretString::from(SECRET), SystemTime::now());
    let (read, jwt) =
        (Scopes::ALL.and([Scope::Read].into_iter().collect()), grant(&fixture.tokens, &pilot(Role::Viewer)));
    let (pilots, services) =
        (mint_stream_token_for(&secret, &pilot(Role::Admin), None, now), mint_stream_token(&secret, now));
    let all = Scopes::ALL;
    let viewer = format!("acme someone VIEWER [{all}]");
    for (said, who) in [
        (SECRET, format!("globex service ADMIN [{all}]")),
        (&services, format!("globex service ADMIN [{read}]")),
        (&pilots, format!("acme someone ADMIN [{read}]")),
        (&jwt, viewer.clone()),
        ("the key of an agent", "acme someone OPERATOR [agent]".to_owned()),
        ("of a store that is down", "Unavailable".to_owned()),
        ("wrong", "Invalid".to_owned()),
        ("", "Invalid".to_owned()),
    ] {
        let request = TestRequest::with_uri("/live").insert_header(("x-later", said)).insert_header((ORG, "globex"));
        assert_eq!(fixture.ask(request).await.1, who, "{said}");
    }
    for (brought, who) in [
        (SECRET, "Invalid"),
        ("the key of an agent", "Invalid"),
        ("of+a+store+that+is+down", "Unavailable"),
        (&jwt, &viewer),
    ] {
        let request = TestRequest::with_uri(&format!("/live?token={}", brought.replace(' ', "+")));
        assert_eq!(
            fixture.ask(request.insert_header(("x-later", SECRET))).await.1,
            who,
            "{brought}: what it brought counts"
        );
    }
}

#[actix_web::test]
async fn who_called_is_asked_again_of_what_proved_it() {
    let fixture = fixture();
    let standing = |by| standing::Standing::new(pilot(Role::Operator), Some(fixture.guard.clone()), by);
    let jwt = grant(&fixture.tokens, &pilot(Role::Viewer));
    let mut known = standing(standing::By::Secret(jwt.into()));
    assert_eq!(known.ask_again().await, Ok(()));
    assert_eq!(known.caller().0.role, Role::Viewer, "as it is now");
    let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    let expired = fixture.tokens.grant(&pilot(Role::Admin), long_ago).expect("granted").token;
    assert_eq!(standing(standing::By::Secret(expired)).ask_again().await, Err(Refusal::Expired));
    assert_eq!(standing(standing::By::Secret("revoked".into())).ask_again().await, Err(Refusal::Invalid));
    let down = standing::By::Secret("of a store that is down".into());
    assert_eq!(standing(down).ask_again().await, Err(Refusal::Unavailable));
    assert_eq!(standing(standing::By::Shared).ask_again().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_token_opened_ends_by_itself() {
    let guard = fixture().guard;
    let mut opened = standing::Standing::new(pilot(Role::Viewer), Some(guard), standing::By::stream_token(None));
    tokio::time::advance(STREAM_TOKEN_OPENS_FOR - std::time::Duration::from_secs(1)).await;
    assert_eq!(opened.ask_again().await, Ok(()), "longer than the token itself");
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(opened.ask_again().await, Err(Refusal::Expired));
}

#[actix_web::test]
async fn a_stream_token_lets_nobody_in_for_what_was_ended_since_it_was_made() {
    let (fixture, secret) = (fixture(), SecretString::from(SECRET));
    for (by_token, comes) in [(None, true), (Some("good"), true), (Some("revoked"), false)] {
        let minted = mint_stream_token_for(&secret, &pilot(Role::Viewer), by_token, SystemTime::now());
        let (status, _) = fixture.ask(TestRequest::with_uri(&format!("/events?token={minted}"))).await;
        assert_eq!(status == StatusCode::OK, comes, "{by_token:?} in the address: {status}");
        let later = TestRequest::with_uri("/live").insert_header(("x-later", minted.as_str()));
        assert_eq!(fixture.ask(later).await.1 == "Invalid", !comes, "{by_token:?} in a frame");
    }
}

#[tokio::test(start_paused = true)]
async fn before_something_is_sent_it_is_asked_again_and_not_each_time() {
    let fixture = fixture();
    let asked = |minted| standing::By::stream_token(Some(Minted { at: jiff::Timestamp::UNIX_EPOCH, by_token: minted }));
    let standing = |by| standing::Standing::new(pilot(Role::Viewer), Some(fixture.guard.clone()), by);
    let (mut good, mut ended) = (standing(asked(None)), standing(asked(Some("revoked".to_owned()))));
    assert_eq!(ended.ask_before_sending().await, Ok(()), "it was asked when it opened");
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(ended.ask_before_sending().await, Err(Refusal::Invalid));
    assert_eq!(ended.ask_before_sending().await, Err(Refusal::Invalid), "a refusal is no answer to go by");
    let before = fixture.known.asked.load(Ordering::Relaxed);
    for _ in 0..10 {
        assert_eq!(good.ask_before_sending().await, Ok(()));
    }
    assert_eq!(fixture.known.asked.load(Ordering::Relaxed), before + 1);
}

#[test]
fn a_caller_needs_leave_for_what_its_handler_does() {
    let caller = Caller(pilot(Role::Operator));
    caller.require(Permission::DecideInterventions).expect("may");
    assert_eq!(caller.require(Permission::KillSwitch).expect_err("may not").code(), ErrorCode::Forbidden);
}
