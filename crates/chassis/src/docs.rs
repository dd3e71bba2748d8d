//! `/openapi.json` for programs and `/docs` for people.

mod every_route;

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

pub(crate) use every_route::describe;

const DOCUMENT: &str = "/openapi.json";

/// Serves `document` and a page that renders it, from files that are part of the binary. It comes as text, because the
/// document itself takes megabytes and would be there once a worker.
pub(crate) fn routes(document: Bytes) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        let serve = move || {
            let answer = HttpResponse::Ok().content_type("application/json").body(document.clone());
            std::future::ready(answer)
        };
        config.route(DOCUMENT, web::get().to(serve));
        config.service(web::redirect("/docs", "/docs/"));
        config.service(SwaggerUi::new("/docs/{file:.*}").config(Config::from(DOCUMENT)));
    }
}

/// The document as it is served and as it is checked in: indented JSON with a line break at the end.
///
/// # Errors
/// When the document cannot be written as JSON.
pub fn render(openapi: &OpenApi) -> serde_json::Result<String> {
    openapi.to_pretty_json().map(|text| text + "\n")
}
