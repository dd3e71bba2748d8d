//! The errors that every address under `/v1` may answer with, for the document.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use utoipa::openapi::content::Content;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};
use vx11_contracts::intervention::Held;

/// What a request may come to that asks providers, in the shape `E` of its wire's errors.
pub(super) struct Failures<E>(PhantomData<E>);

const FAILURES: [(&str, &str); 7] = [
    ("403", "The key may not use the model, or a person did not approve the request."),
    ("404", "Unknown model or provider."),
    ("429", "A limit or budget of the key, its team or its organisation is reached; see Retry-After."),
    ("502", "No provider answered."),
    ("503", "Every provider is failing; see Retry-After."),
    ("504", "No provider answered in time."),
    ("default", ""),
];

/// What a request comes to that a rule holds for a person.
fn held() -> (String, RefOr<Response>) {
    let content = Content::new(Some(Ref::from_schema_name(Held::name())));
    let response = ResponseBuilder::new().description("A rule holds it for a person; see Location.");
    ("202".to_owned(), response.content("application/json", content).build().into())
}

impl<E: ToSchema> IntoResponses for Failures<E> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let failure = |(status, description): (&str, &str)| {
            let content = Content::new(Some(Ref::from_schema_name(E::name())));
            let response = ResponseBuilder::new().description(description).content("application/json", content);
            (status.to_owned(), response.build().into())
        };
        FAILURES.into_iter().map(failure).chain([held()]).collect()
    }
}
