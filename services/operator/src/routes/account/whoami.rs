//! The caller as it is known, and the public keys of access tokens.

use actix_web::HttpResponse;
use actix_web::get;
use actix_web::web::{self, Data};
use utoipa::ToSchema;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_contracts::identity::Whoami;
use vx11_contracts::operator::Envelope;
use vx11_contracts::{ErrorBody, ErrorCode};

use crate::state::State;

/// Who calls, and what it may.
#[utoipa::path(operation_id = "whoami", tag = "identity", responses((status = 200, body = Envelope<Whoami>)))]
#[get("/whoami")]
pub(crate) async fn whoami(caller: Caller) -> web::Json<Envelope<Whoami>> {
    web::Json(Envelope::new(Whoami::from(&caller.0)))
}

/// A JSON Web Key Set (RFC 7517).
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct JsonWebKeySet {
    /// Ed25519 keys (RFC 8037).
    keys: Vec<JsonWebKey>,
}

/// A public key.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct JsonWebKey {
    /// `OKP`
    kty: String,
    /// `Ed25519`
    crv: String,
    /// `EdDSA`
    alg: String,
    /// `sig`
    r#use: String,
    /// Its id, as in the head of tokens.
    kid: String,
    /// The key, in base64url.
    x: String,
}

/// The public keys that access tokens are signed with, those that will sign included.
#[utoipa::path(operation_id = "public_keys", tag = "identity", security(()), responses(
    (status = 200, body = JsonWebKeySet),
    (status = 503, body = ErrorBody),
))]
#[get("/jwks")]
pub(crate) async fn jwks(state: Data<State>) -> Result<HttpResponse, ApiError> {
    public_keys(&state).await
}

/// The same keys, where libraries look for them.
#[utoipa::path(operation_id = "well_known_keys", tag = "identity", security(()), responses(
    (status = 200, body = JsonWebKeySet),
    (status = 503, body = ErrorBody),
))]
#[get("/.well-known/jwks.json")]
pub(crate) async fn well_known_keys(state: Data<State>) -> Result<HttpResponse, ApiError> {
    public_keys(&state).await
}

async fn public_keys(state: &State) -> Result<HttpResponse, ApiError> {
    let keys = state.verifier.tokens().jwks().await;
    let keys = keys.ok_or_else(|| ApiError::new(ErrorCode::StoreUnavailable, "the keys cannot be read"))?;
    // Shorter than the five minutes that a new key is known before it signs.
    Ok(HttpResponse::Ok().insert_header(("cache-control", "public, max-age=60")).json(keys))
}
