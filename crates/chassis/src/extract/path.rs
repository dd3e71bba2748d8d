//! What an address names.

use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::web;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::has_nul;
use crate::error::ApiError;

/// The parts of an address that name something. Nothing has a name with a NUL in it, which PostgreSQL takes nowhere: 404.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<T> Path<T> {
    /// The parts.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Path<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Path<T> {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let named = match has_nul(request.uri().path()) {
            true => Err(ApiError::not_found("name: it has the character U+0000").into()),
            false => web::Path::from_request(request, payload).into_inner(),
        };
        std::future::ready(named.map(|path: web::Path<T>| Self(path.into_inner())))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn nothing_is_named_by_a_text_with_a_nul() {
        let named = |address: &str, id: &'static str| {
            let request = TestRequest::with_uri(address).param("id", id).to_http_request();
            let named = Path::<String>::from_request(&request, &mut Payload::None).into_inner();
            named.map(Path::into_inner).map_err(|error| error.as_response_error().status_code())
        };
        assert_eq!(named("/things/a%2500", "a%2500"), Ok("a%00".to_owned()));
        assert_eq!(named("/things/a%00", "a\0"), Err(StatusCode::NOT_FOUND));
    }
}
