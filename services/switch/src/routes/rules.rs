//! What each route asks of callers that come with an API key or an access token of the operator's.

use actix_web::http::Method;
use vx11_chassis::auth::{Access, Rule};
use vx11_contracts::identity::Permission;

const GATEWAY: Access = Access::Needs(Permission::UseGateway);

/// The rules of the gateway. What is under `/switch` shows all organisations, and is for services.
pub(crate) const RULES: &[Rule] = &[
    Rule::new(Method::POST, "/v1/chat/completions", GATEWAY),
    Rule::new(Method::POST, "/v1/responses", GATEWAY),
    Rule::new(Method::POST, "/v1/completions", GATEWAY),
    Rule::new(Method::POST, "/v1/embeddings", GATEWAY),
    Rule::new(Method::POST, "/v1/messages", GATEWAY),
    Rule::new(Method::POST, "/v1/messages/count_tokens", GATEWAY),
    Rule::new(Method::GET, "/v1/models", GATEWAY),
    Rule::new(Method::GET, "/v1/models/{id:.+}", GATEWAY),
    Rule::new(Method::POST, "/switch/chat", Access::Services),
    Rule::new(Method::GET, "/switch/usage", Access::Services),
    Rule::new(Method::POST, "/switch/maintenance", Access::Services),
    Rule::new(Method::GET, "/switch/providers", Access::Services),
];

#[cfg(test)]
mod tests {
    use utoipa::OpenApi as _;
    use vx11_chassis::auth::undeclared;

    use super::*;
    use crate::routes::Document;

    #[test]
    fn every_route_has_a_rule_and_every_rule_a_route() {
        // In the document a pattern stands without the expression of its part.
        let as_documented = |rule: &Rule| match rule.pattern {
            "/v1/models/{id:.+}" => Rule { pattern: "/v1/models/{id}", ..rule.clone() },
            _ => rule.clone(),
        };
        let rules: Vec<Rule> = RULES.iter().map(as_documented).collect();
        assert_eq!(undeclared(&Document::openapi(), &rules), [""; 0]);
    }
}
