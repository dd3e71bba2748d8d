//! What the chassis does for every route, said of each in the document: the refusals of the guard and of the extractors,
//! and that an empty body stands for `{}`. A route's own words on any of them stay, and so does a route whose errors are
//! all described already, as those with another wire's errors are.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Components, Content, OpenApi, PathItem, Ref, RefOr, Required, Schema};
use utoipa::{OpenApi as _, ToSchema};
use vx11_contracts::ErrorBody;

/// By status, with the name under which the document has it once.
const REFUSALS: [(&str, &str, &str); 5] = [
    ("400", "Malformed", "The request cannot be read: broken JSON, invalid UTF-8, a body that broke off."),
    ("401", "MissingToken", "No token was sent, or it is no longer good."),
    ("403", "NotAllowed", "The token is wrong, or does not allow this."),
    ("413", "TooLarge", "The body is larger than this address accepts."),
    (
        "422",
        "InvalidField",
        "A field or parameter is missing, unknown, of the wrong type or out of range; it is named.",
    ),
];
/// Of routes that ask who calls, of those that read a body, and of those that read a query.
const OF_SECURED: [&str; 2] = ["401", "403"];
const OF_BODIES: [&str; 3] = ["400", "413", "422"];
const OF_QUERIES: [&str; 1] = ["422"];
/// Responses under which every error of a route stands.
const ALL_ERRORS: [&str; 2] = ["default", "4XX"];

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(ErrorBody)))]
struct Errors;

/// Says it of every route of `openapi`.
pub(crate) fn describe(openapi: &mut OpenApi) {
    openapi.merge(Errors::openapi());
    let secured = openapi.security.clone().unwrap_or_default();
    let components = openapi.components.get_or_insert_default();
    let mut referred = false;
    for operation in openapi.paths.paths.values_mut().flat_map(operations) {
        describe_body(operation, components);
        for status in refusals(operation, &secured) {
            let (_, name, _) = REFUSALS.into_iter().find(|refusal| refusal.0 == status).unwrap_or(REFUSALS[0]);
            let response = || RefOr::Ref(Ref::from_response_name(name));
            operation.responses.responses.entry(status.to_owned()).or_insert_with(response);
            referred = true;
        }
    }
    if referred {
        components.responses.extend(REFUSALS.map(|(_, name, description)| (name.to_owned(), refusal(description))));
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn refusals(operation: &Operation, secured: &[SecurityRequirement]) -> Vec<&'static str> {
    if ALL_ERRORS.iter().any(|all| operation.responses.responses.contains_key(*all)) {
        return Vec::new();
    }
    let asks_who_calls = !operation.security.as_deref().unwrap_or(secured).contains(&SecurityRequirement::default());
    let parameters = operation.parameters.iter().flatten();
    let reads_query = parameters.into_iter().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
        RefOr::Ref(_) => false,
    });
    let mut refusals = Vec::new();
    refusals.extend(OF_SECURED.iter().filter(|_| asks_who_calls));
    refusals.extend(OF_BODIES.iter().filter(|_| operation.request_body.is_some()));
    refusals.extend(OF_QUERIES.iter().filter(|_| reads_query));
    refusals
}

fn refusal(description: &str) -> RefOr<Response> {
    let content = Content::new(Some(Ref::from_schema_name(ErrorBody::name())));
    ResponseBuilder::new().description(description).content("application/json", content).build().into()
}

/// A body of which nothing is required may be left out: the extractor reads an empty one as `{}`.
fn describe_body(operation: &mut Operation, components: &Components) {
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && may_be_empty(body, components)
    {
        body.required = Some(Required::False);
    }
}

fn may_be_empty(body: &RequestBody, components: &Components) -> bool {
    body.content.values().any(|content| {
        let RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) = content else { return false };
        let name = schema.ref_location.rsplit('/').next().unwrap_or_default();
        matches!(components.schemas.get(name), Some(RefOr::T(Schema::Object(object))) if object.required.is_empty())
    })
}
