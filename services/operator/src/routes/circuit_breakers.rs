//! `GET /operator/api/circuit-breakers`

use actix_web::get;
use actix_web::web::{self, Data};
use vx11_chassis::breaker;
use vx11_contracts::operator::{CircuitBreakers, Envelope};

use crate::state::State;

/// The breaker of each service that chats go to.
#[utoipa::path(operation_id = "list_circuit_breakers", tag = "status", responses((status = 200, body = Envelope<CircuitBreakers>)))]
#[get("/circuit-breakers")]
pub(crate) async fn list(state: Data<State>) -> web::Json<Envelope<CircuitBreakers>> {
    let breakers = [("switch", state.chat.engine.switch.breaker()), ("madre", state.madre.breaker())];
    let shown = breakers.into_iter().map(|(target, found)| (target.to_owned(), breaker::info(found)));
    web::Json(Envelope::new(shown.collect()))
}
