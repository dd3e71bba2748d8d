//! `GET /switch/providers`: the providers in service and how they are.

use actix_web::web::Json;
use vx11_contracts::switch::ProviderList;

use crate::gateway::Gateway;

/// Every provider in service: where it is, what it serves, how its keys are, and how each model has been of late.
#[utoipa::path(get, path = "/switch/providers", tag = "switch", responses((status = 200, body = ProviderList)))]
pub(super) async fn list_providers(gateway: Gateway) -> Json<ProviderList> {
    let shared = &gateway.shared;
    let providers = shared.registry.all().iter().zip(shared.routes.labels());
    Json(ProviderList { providers: providers.map(|(provider, labels)| provider.info(labels)).collect() })
}
