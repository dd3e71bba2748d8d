//! What one route makes and others take, as the document's links: who reads it, or tests by it, need not guess that the
//! id of an intervention that was opened is the one to approve.

use serde_json::json;
use utoipa::Modify;
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

/// Completes the operator's document.
pub(super) struct Links;

/// A route that makes something, and where it is taken.
struct Made {
    by: &'static str,
    /// Where the id is in the answer.
    id: &'static str,
    /// What the addresses begin with at which it is taken, and as which parameter.
    taken: &'static [(&'static str, &'static str)],
}

const MADE: [Made; 4] = [
    Made {
        by: "create_intervention",
        id: "$response.body#/data/request_id",
        taken: &[("/operator/api/interventions/{id}", "id")],
    },
    Made {
        by: "register_unit",
        id: "$response.body#/data/uow_id",
        taken: &[("/operator/api/units/{id}", "id"), ("/operator/api/pilot/", "uow_id")],
    },
    Made { by: "create_key", id: "$response.body#/data/key/id", taken: &[("/operator/api/keys/{id}", "id")] },
    Made { by: "create_org", id: "$response.body#/data/id", taken: &[("/operator/api/orgs/{id}", "id")] },
];

impl Modify for Links {
    fn modify(&self, openapi: &mut OpenApi) {
        for made in &MADE {
            let links = links(openapi, made);
            let maker = openapi.paths.paths.values_mut().flat_map(operations);
            for operation in maker.filter(|operation| operation.operation_id.as_deref() == Some(made.by)) {
                let answers = operation.responses.responses.iter_mut().filter(|(status, _)| status.starts_with('2'));
                for (_, answer) in answers {
                    if let RefOr::T(answer) = answer {
                        answer.links.extend(links.clone());
                    }
                }
            }
        }
    }
}

fn links(openapi: &mut OpenApi, made: &Made) -> Vec<(String, RefOr<Link>)> {
    let mut links = Vec::new();
    for (path, item) in &mut openapi.paths.paths {
        for (start, parameter) in made.taken {
            let takers = operations(item).filter(|taker| path.starts_with(start) && takes(taker, parameter));
            links.extend(takers.filter_map(|taker| {
                let id = taker.operation_id.clone()?;
                let link = LinkBuilder::new().operation_id(&id).parameter(*parameter, json!(made.id)).build();
                Some((id, link.into()))
            }));
        }
    }
    links
}

fn takes(operation: &Operation, name: &str) -> bool {
    let named = |parameter: &Parameter| parameter.name == name && parameter.parameter_in == ParameterIn::Path;
    let parameters = operation.parameters.iter().flatten();
    parameters.into_iter().any(|parameter| matches!(parameter, RefOr::T(parameter) if named(parameter)))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use utoipa::OpenApi as _;

    use super::*;
    use crate::routes::OperatorApi;

    #[test]
    fn whatever_is_made_is_taken_somewhere() {
        let mut document = OperatorApi::openapi();
        for made in &MADE {
            assert!(!links(&mut document, made).is_empty(), "{}", made.by);
            let mut makers = document.paths.paths.values_mut().flat_map(operations);
            let maker = makers.find(|operation| operation.operation_id.as_deref() == Some(made.by)).expect(made.by);
            let linked = |answer: &RefOr<_>| matches!(answer, RefOr::T(utoipa::openapi::Response { links, .. }) if !links.is_empty());
            assert!(maker.responses.responses.values().any(linked), "{}", made.by);
        }
    }
}
