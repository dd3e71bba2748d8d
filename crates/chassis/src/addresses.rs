//! What a request gets that no route took: 404, or 405 where its address exists with other methods.
//!
//! Routes are guarded by their method, so the router cannot tell the two apart; the service's document can. It is read
//! only for such requests, and decides nothing about the others.

use actix_web::dev::ResourceDef;
use actix_web::http::Method;
use utoipa::openapi::{OpenApi, PathItem};

use crate::error::ApiError;

/// Every address of a service, with its methods.
pub(crate) struct Addresses(Vec<(ResourceDef, Vec<Method>)>);

impl Addresses {
    /// The addresses that `openapi` documents.
    pub(crate) fn new(openapi: &OpenApi) -> Self {
        let paths = openapi.paths.paths.iter();
        Self(paths.map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item))).collect())
    }

    /// What to tell the caller that asked for `path` with `method`.
    pub(crate) fn refuse(&self, method: &Method, path: &str) -> ApiError {
        match self.0.iter().find(|(address, _)| address.is_match(path)) {
            Some((_, allowed)) if !allowed.contains(method) => ApiError::method_not_allowed(allowed),
            _ => ApiError::not_found("address"),
        }
    }
}

/// The methods that `item` documents.
pub(crate) fn methods(item: &PathItem) -> Vec<Method> {
    let documented = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::OPTIONS, &item.options),
        (Method::HEAD, &item.head),
        (Method::PATCH, &item.patch),
    ];
    documented.into_iter().filter(|(_, operation)| operation.is_some()).map(|(method, _)| method).collect()
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
    use utoipa::openapi::{OpenApiBuilder, PathsBuilder};
    use vx11_contracts::ErrorCode;

    use super::*;

    #[test]
    fn an_address_with_other_methods_is_told_from_none() {
        let mut faults = PathItem::new(HttpMethod::Get, Operation::new());
        faults.put = Some(Operation::new());
        let parcel = PathItem::new(HttpMethod::Post, Operation::new());
        let paths = PathsBuilder::new().path("/faults", faults).path("/parcels/{id}", parcel).build();
        let addresses = Addresses::new(&OpenApiBuilder::new().paths(paths).build());

        let refused = |method: Method, path: &str| addresses.refuse(&method, path).code();
        assert_eq!(refused(Method::DELETE, "/faults"), ErrorCode::MethodNotAllowed);
        assert_eq!(refused(Method::GET, "/parcels/7"), ErrorCode::MethodNotAllowed);
        assert_eq!(refused(Method::GET, "/parcels"), ErrorCode::NotFound);
        assert_eq!(refused(Method::GET, "/parcels/7/8"), ErrorCode::NotFound);
        assert_eq!(refused(Method::POST, "/parcels/7"), ErrorCode::NotFound, "documented, and no route took it");
    }
}
