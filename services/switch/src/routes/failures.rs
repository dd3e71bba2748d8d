//! The errors that every address under `/v1` may answer with, for the document.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use utoipa::openapi::content::Content;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};

/// What a request may come to that asks providers, in the shape `E` of its wire's errors.
pub(super) struct Failures<E>(PhantomData<E>);

const FAILURES: [(&str, &str); 7] = [
    ("403", "The key may not use the model."),
    ("404", "Unknown model or provider."),
    ("429", "A limit or budget of the key, its team or its organisation is reached; see Retry-After."),
    ("502", "No provider answered."),
    ("503", "Every provider is failing; see Retry-After."),
    ("504", "No provider answered in time."),
    ("default", ""),
];

impl<E: ToSchema> IntoResponses for Failures<E> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let failure = |(status, description): (&str, &str)| {
            let content = Content::new(Some(Ref::from_schema_name(E::name())));
            let response = ResponseBuilder::new().description(description).content("application/json", content);
            (status.to_owned(), response.build().into())
        };
        FAILURES.into_iter().map(failure).collect()
    }
}
