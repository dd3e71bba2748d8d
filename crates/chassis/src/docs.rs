//! `/openapi.json` for programs and `/docs` for people.

use actix_web::web;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

/// Serves `openapi` and a page that renders it, from files that are part of the binary.
pub(crate) fn routes(openapi: OpenApi) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config.service(web::redirect("/docs", "/docs/"));
        config.service(SwaggerUi::new("/docs/{file:.*}").url("/openapi.json", openapi));
    }
}

/// The document as it is served and as it is checked in: indented JSON with a line break at the end.
///
/// # Errors
/// When the document cannot be written as JSON.
pub fn render(openapi: &OpenApi) -> serde_json::Result<String> {
    openapi.to_pretty_json().map(|text| text + "\n")
}
