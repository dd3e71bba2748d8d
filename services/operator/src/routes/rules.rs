//! What each route asks of callers that come with a token or key of their own.
//!
//! What people see is their own organisation's. Only what is of the installation as a whole, as its configuration, is open
//! to the platform's own organisation alone.

use actix_web::http::Method;
use vx11_chassis::auth::{Access, Rule};
use vx11_contracts::identity::Permission;

use super::socket::PATHS;

/// Declares the rules; those of interventions hold at both of their addresses.
macro_rules! rules {
    (
        operator { $($method:ident $path:literal $access:ident $(($($permission:ident),+))?;)+ }
        interventions { $($their_method:ident $their_path:literal $their_access:ident ($($their_permission:ident),+);)+ }
    ) => {
        /// The rules of the operator.
        pub(crate) const RULES: &[Rule] = &[
            // Who cannot send a header says in the first frame who it is, and until then gets nothing.
            Rule::new(Method::GET, PATHS[0], Access::Public),
            Rule::new(Method::GET, PATHS[1], Access::Public),
            Rule::new(Method::GET, PATHS[2], Access::Public),
            Rule::new(Method::GET, "/.well-known/jwks.json", Access::Public),
            $(Rule::new(Method::$method, concat!("/operator/api", $path), Access::$access $(($(Permission::$permission),+))?),)+
            $(
                Rule::new(
                    Method::$their_method,
                    concat!("/operator/api/interventions", $their_path),
                    Access::$their_access($(Permission::$their_permission),+),
                ),
                Rule::new(
                    Method::$their_method,
                    concat!("/api/interventions", $their_path),
                    Access::$their_access($(Permission::$their_permission),+),
                ),
            )+
        ];
    };
}

rules! {
    operator {
        POST "/chat" Needs(Chat);
        POST "/chat/commands" NeedsOfPlatform(ManagePower);
        POST "/chat/window/open" Needs(ManagePower);
        POST "/chat/window/close" Needs(ManagePower);
        GET "/chat/window/status" Needs(ReadMetrics);
        GET "/status" Needs(ReadMetrics);
        GET "/config" NeedsOfPlatform(ReadMetrics);
        POST "/events/sse-token" Known;
        GET "/events" Needs(ReadSessions);
        GET "/metrics" Needs(ReadMetrics);
        GET "/sessions" Needs(ReadSessions);
        GET "/sessions/{id}" Needs(ReadSessions);
        GET "/audit" Needs(ReadAudit);
        GET "/audit/{correlation_id}" Needs(ReadAudit);
        GET "/audit-log" Needs(ReadAudit);
        GET "/audit-log/verify" Needs(VerifyAudit);
        POST "/replay/{correlation_id}" Needs(Replay);
        GET "/circuit-breakers" Needs(ReadMetrics);
        POST "/maintenance" Needs(ManagePower);
        POST "/turns" Services;
        GET "/notifications/deliveries" Needs(ManagePolicies);
        POST "/notifications/deliveries/{id}/retry" Needs(ManagePolicies);
        POST "/notifications/subscriptions" Needs(ManagePolicies);
        GET "/notifications/subscriptions" Needs(ManagePolicies);
        DELETE "/notifications/subscriptions/{id}" Needs(ManagePolicies);
        POST "/units" Needs(ReportUnits);
        GET "/units" Needs(ReadUnits);
        GET "/units/{id}" NeedsForOwn(ReadUnits, ReportUnits);
        POST "/units/{id}/transitions" Needs(ReportUnits);
        POST "/units/{id}/heartbeat" Needs(ReportUnits);
        POST "/pilot/kill-switch" Needs(KillSwitch);
        POST "/pilot/clarification/{uow_id}" Needs(Clarify);
        POST "/pilot/waive/{uow_id}/{guard_rule_id}" Needs(Waive);
        POST "/pilot/resume/{uow_id}" Needs(Resume);
        POST "/pilot/cancel/{uow_id}" Needs(CancelUnit);
        GET "/guard-rules" Needs(ReadUnits);
        PUT "/guard-rules/{rule_id}" Needs(ManagePolicies);
        DELETE "/guard-rules/{rule_id}" Needs(ManagePolicies);
        GET "/insights/anomalies" Needs(ReadInterventions);
        GET "/insights/performance" Needs(ReadInterventions);
        POST "/orgs" Needs(ManageOrgs);
        GET "/orgs" Needs(ManageOrgs);
        POST "/orgs/{id}/close" Needs(ManageOrgs);
        POST "/keys" Needs(ManageKeys);
        GET "/keys" Needs(ManageKeys);
        PATCH "/keys/{id}" Needs(ManageKeys);
        DELETE "/keys/{id}" Needs(ManageKeys);
        GET "/pilots" Needs(ReadPilots);
        PATCH "/pilots/{id}" Needs(ManagePilots);
        GET "/pilots/{id}/routing" Needs(ReadPilots);
        PUT "/pilots/{id}/routing" Needs(ManagePolicies);
        DELETE "/pilots/{id}/sessions" Needs(ManagePilots);
        POST "/introspect" Services;
        GET "/whoami" Known;
        GET "/jwks" Public;
        GET "/auth/providers" Public;
        GET "/auth/login/{provider}" Public;
        GET "/auth/callback/{provider}" Public;
        POST "/auth/login" Public;
        POST "/auth/refresh" Public;
        POST "/auth/logout" Public;
    }
    interventions {
        POST "" Needs(OpenInterventions);
        GET "" Needs(ReadInterventions);
        GET "/metrics" Needs(ReadInterventions);
        GET "/history" Needs(ReadInterventions);
        GET "/{id}" NeedsForOwn(ReadInterventions, OpenInterventions);
        GET "/{id}/wait" NeedsForOwn(ReadInterventions, OpenInterventions);
        GET "/{id}/suggestions" Needs(DecideInterventions);
        POST "/{id}/claim" Needs(DecideInterventions);
        POST "/{id}/release" Needs(DecideInterventions);
        POST "/{id}/approve" Needs(DecideInterventions);
        POST "/{id}/reject" Needs(DecideInterventions);
        POST "/{id}/edit" Needs(DecideInterventions);
        POST "/{id}/respond" Needs(DecideInterventions);
        POST "/{id}/complete" Needs(DecideInterventions);
        POST "/{id}/cancel" Needs(OpenInterventions);
        POST "/{id}/redeem" Needs(OpenInterventions);
    }
}

#[cfg(test)]
mod tests {
    use utoipa::OpenApi as _;
    use vx11_chassis::auth::{route_table, undeclared};

    use super::*;
    use crate::routes::OperatorApi;

    #[test]
    fn every_route_has_a_rule_and_every_rule_a_route() {
        // The socket stands in the document at the first of its addresses.
        let rules = RULES.iter().filter(|rule| !PATHS[1..].contains(&rule.pattern)).cloned();
        let (aliases, documented): (Vec<_>, Vec<_>) = rules.partition(|rule| rule.pattern.starts_with("/api/"));
        assert_eq!(undeclared(&OperatorApi::openapi(), &documented), [""; 0]);
        // The older addresses stand in no document: each is one that does.
        let theirs = documented.iter().filter(|rule| rule.pattern.starts_with("/operator/api/interventions"));
        assert_eq!(theirs.clone().count(), aliases.len());
        for (rule, alias) in theirs.zip(&aliases) {
            assert_eq!((&rule.method, rule.pattern), (&alias.method, &*format!("/operator{}", alias.pattern)));
            assert_eq!(rule.access, alias.access);
        }
    }

    #[test]
    fn the_table_of_routes_in_the_docs_is_the_one_in_the_code() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/route-permissions.md");
        let table = format!(
            "# Who may call which route of the operator\n\nGenerated from the operator's rules by `make contracts`; a test \
             calls each cell with a key of each role.\n\nWhat stands here is for callers with an access token or an API \
             key of their own, which needs the permission's\nscope too ([permissions](permissions.md)). The shared token \
             opens every route. **platform**: only in the\norganisation `default`, which keeps the installation; \
             what the route shows or changes is of the installation\nas a whole.\n\n{}",
            route_table(RULES)
        );
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file, &table).expect("writable");
        }
        assert_eq!(std::fs::read_to_string(file).unwrap_or_default(), table, "run `make contracts`");
    }
}
