//! Identity providers that say what a test wants: one of OpenID Connect, and GitHub, at one address.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use vx11_identity::pkce;

pub(crate) const CLIENT_ID: &str = "vx11";
pub(crate) const SECRET: &str = "a secret+with/signs";

/// The providers.
pub(crate) struct Issuer {
    pub(crate) url: String,
    shared: Arc<Shared>,
    server: ServerHandle,
}

struct Shared {
    url: String,
    pair: EcdsaKeyPair,
    says: Mutex<Says>,
}

/// What they say.
pub(crate) struct Says {
    /// The identity token's claims; what is null is left out.
    pub(crate) claims: Value,
    /// The identity token itself, where it is not to be made of the claims.
    pub(crate) token: Option<String>,
    pub(crate) userinfo: Value,
    pub(crate) github_user: Value,
    pub(crate) github_emails: Value,
    /// The challenge that the code was asked for with.
    pub(crate) challenge: String,
    /// What clients asked the token endpoints.
    pub(crate) asked: Vec<String>,
    /// Changes of the discovery document.
    pub(crate) document: Value,
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", vx11_testing_servers::lasting_port())).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).expect("it");
        let says = Says {
            claims: Value::Null,
            token: None,
            userinfo: Value::Null,
            github_user: Value::Null,
            github_emails: json!([]),
            challenge: String::new(),
            asked: Vec::new(),
            document: json!({}),
        };
        let shared = Arc::new(Shared { url: url.clone(), pair, says: Mutex::new(says) });
        let data = Data::from(shared.clone());
        let app = move || App::new().app_data(data.clone()).default_service(web::to(serve));
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).expect("listens").run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, shared, server: handle }
    }

    /// Changes what they say.
    pub(crate) fn says<T>(&self, change: impl FnOnce(&mut Says) -> T) -> T {
        change(&mut self.shared.says.lock().expect("no panic"))
    }

    /// Claims that are good, for a login with this nonce.
    pub(crate) fn claims(&self, nonce: &str) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": self.url, "aud": CLIENT_ID, "sub": "S-1", "iat": now, "exp": now + 300, "nonce": nonce,
            "email": "ada@example.com", "email_verified": true, "name": "Ada",
        })
    }

    /// A token of these claims, by the provider's own key.
    pub(crate) fn sign(&self, head: &Value, claims: &Value) -> String {
        self.shared.sign(head, claims)
    }

    /// The provider's public key, as bytes.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.shared.pair.public_key().as_ref().to_vec()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl Shared {
    fn sign(&self, head: &Value, claims: &Value) -> String {
        let message = unsigned(head, claims);
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).expect("signed");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.url);
        json!({
            "issuer": self.url,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
            "userinfo_endpoint": at("/userinfo"),
        })
    }

    fn keys(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "x": x, "y": y}]})
    }
}

/// Head and claims, as they are signed; a claim that is null is left out.
pub(crate) fn unsigned(head: &Value, claims: &Value) -> String {
    let mut claims = claims.clone();
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(head), encode(&claims))
}

async fn serve(shared: Data<Shared>, http: HttpRequest, body: Bytes) -> HttpResponse {
    let mut says = shared.says.lock().expect("no panic");
    let bearer = http.headers().get("authorization").map(|value| value.to_str().expect("ASCII").to_owned());
    let is_known = bearer.as_deref() == Some("Bearer the-access-token");
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.as_str());
    let is_answered = pkce::is_answered(&says.challenge, field("code_verifier")) && field("code") == "the-code";
    match http.path() {
        "/.well-known/openid-configuration" => {
            let mut document = shared.document();
            document.as_object_mut().expect("one").extend(says.document.as_object().expect("one").clone());
            HttpResponse::Ok().json(document)
        }
        "/jwks" => HttpResponse::Ok().json(shared.keys()),
        "/token" => {
            says.asked.push(String::from_utf8_lossy(&body).into_owned());
            // Both form-encoded, as RFC 6749 has it.
            let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:a+secret%2Bwith%2Fsigns")));
            if bearer != Some(basic) {
                return HttpResponse::Unauthorized().json(json!({"error": "invalid_client"}));
            }
            if !is_answered {
                return HttpResponse::BadRequest().json(json!({"error": "invalid_grant"}));
            }
            let made = || shared.sign(&json!({"alg": "ES256", "kid": "k1"}), &says.claims);
            let token = says.token.clone().unwrap_or_else(made);
            HttpResponse::Ok()
                .json(json!({"access_token": "the-access-token", "token_type": "Bearer", "id_token": token}))
        }
        "/login/oauth/access_token" => {
            says.asked.push(String::from_utf8_lossy(&body).into_owned());
            if !is_answered || field("client_secret") != SECRET {
                return HttpResponse::Ok().json(json!({"error": "bad_verification_code"}));
            }
            HttpResponse::Ok().json(json!({"access_token": "the-access-token", "token_type": "bearer"}))
        }
        "/userinfo" if is_known => HttpResponse::Ok().json(&says.userinfo),
        "/api/v3/user" if is_known => HttpResponse::Ok().json(&says.github_user),
        "/api/v3/user/emails" if is_known => HttpResponse::Ok().json(&says.github_emails),
        _ => HttpResponse::NotFound().finish(),
    }
}
