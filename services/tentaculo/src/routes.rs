//! The edge's addresses: its own few, and everything that it passes on.

use std::collections::BTreeMap;

use actix_web::get;
use actix_web::web::{self, Data};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use vx11_chassis::breaker;
use vx11_contracts::operator::CircuitBreakers;

use crate::proxy::proxy;
use crate::state::State;
use crate::upstream::{OPEN, TABLE};

/// Adds every route.
pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.service(index).service(circuits);
    // Under patterns of their own, first, because rules are found by them.
    for pattern in OPEN {
        app.route(pattern, web::to(proxy));
    }
    for (prefix, _) in TABLE {
        app.route(prefix, web::to(proxy));
        app.route(&format!("{prefix}/{{path:.*}}"), web::to(proxy));
    }
}

/// The document of the edge's own routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "VX11 tentaculo",
        description = "The edge. Besides its own routes it passes on /operator, /api/interventions, /ws, /madre, /switch and /v1; their services describe them."
    ),
    paths(index, circuits)
)]
pub(crate) struct Document;

/// What there is behind this address.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Index {
    /// `VX11`
    name: &'static str,
    /// The edge's version.
    version: &'static str,
    /// Where the documentation is.
    docs: &'static str,
    /// Paths that are passed on, and to whom.
    services: BTreeMap<&'static str, &'static str>,
}

/// Where to go from here.
#[utoipa::path(tag = "edge", responses((status = 200, body = Index)))]
#[get("/")]
pub(crate) async fn index() -> web::Json<Index> {
    let services = TABLE.iter().map(|(prefix, name)| (*prefix, name.as_str())).collect();
    web::Json(Index { name: "VX11", version: env!("CARGO_PKG_VERSION"), docs: "/docs/", services })
}

/// The circuit of each service.
#[utoipa::path(tag = "edge", responses((status = 200, body = CircuitBreakers)))]
#[get("/tentaculo/circuits")]
pub(crate) async fn circuits(state: Data<State>) -> web::Json<CircuitBreakers> {
    let shown = state.upstreams.all();
    web::Json(shown.map(|upstream| (upstream.name.as_str().to_owned(), breaker::info(&upstream.breaker))).collect())
}
