//! A service's rules beside its routes, for its tests: each route has a rule, and people can read them all.

use std::collections::HashSet;
use std::fmt::Write;

use utoipa::openapi::OpenApi;
use vx11_contracts::identity::{OrgId, Principal, Role, Scopes};

use super::is_public;
use super::rules::{Access, Rule};
use crate::addresses::methods;

/// What is wrong with `rules` beside the routes that `openapi` documents: a route without a rule, a rule without a
/// route, two rules for one route. A service's test finds this empty, so no route is added without a thought about who
/// may use it.
pub fn undeclared(openapi: &OpenApi, rules: &[Rule]) -> Vec<String> {
    let paths = openapi.paths.paths.iter();
    let documented = paths.flat_map(|(path, item)| methods(item).into_iter().map(move |method| (method, &**path)));
    let documented: Vec<_> = documented.filter(|(method, path)| !is_public(method, path)).collect();
    let mut ruled = HashSet::new();
    let mut wrong = Vec::new();
    for Rule { method, pattern, .. } in rules {
        if !ruled.insert((method, *pattern)) {
            wrong.push(format!("{method} {pattern} has two rules"));
        }
        if !documented.iter().any(|(route, path)| route == method && path == pattern) {
            wrong.push(format!("{method} {pattern} has a rule and no route"));
        }
    }
    let without = documented.iter().filter(|(method, path)| !ruled.contains(&(method, *path)));
    wrong.extend(without.map(|(method, path)| format!("{method} {path} has no rule")));
    wrong
}

/// `rules` as people read them: a row for each route, a column for each role. Made of what the guard would answer.
pub fn route_table(rules: &[Rule]) -> String {
    let mut text =
        String::from("| route | needs | ADMIN | OPERATOR | VIEWER | without a token |\n|---|---|---|---|---|---|\n");
    for Rule { method, pattern, access } in rules {
        let needs = match access {
            Access::Public => "nothing".to_owned(),
            Access::Known => "any token".to_owned(),
            Access::Needs(permission) | Access::NeedsOfPlatform(permission) => format!("`{}`", permission.as_str()),
            Access::NeedsForOwn(all, own) => format!("`{}`, or `{}` for one's own", all.as_str(), own.as_str()),
            Access::Services => "the shared token".to_owned(),
        };
        let _ = write!(text, "| `{method} {pattern}` | {needs} |");
        for role in Role::ALL {
            let _ = write!(text, " {} |", cell(*access, role));
        }
        let _ = writeln!(text, " {} |", if *access == Access::Public { "yes" } else { "no" });
    }
    text
}

fn cell(access: Access, role: Role) -> &'static str {
    let of_platform = Principal { role, scopes: Scopes::ALL, ..Principal::service() };
    let tenant = "a".parse::<OrgId>().ok().map(|org| Principal { org, ..of_platform.clone() });
    match (access.permits(&of_platform), tenant.is_some_and(|tenant| access.permits(&tenant))) {
        (true, true) => "yes",
        (true, false) => "**platform**",
        (false, _) => "no",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
    use utoipa::openapi::{OpenApiBuilder, PathsBuilder};
    use vx11_contracts::identity::Permission;

    use super::*;

    fn document() -> OpenApi {
        let mut orgs = PathItem::new(HttpMethod::Get, Operation::new());
        orgs.post = Some(Operation::new());
        let health = PathItem::new(HttpMethod::Get, Operation::new());
        let paths = PathsBuilder::new().path("/orgs", orgs).path("/health", health).build();
        OpenApiBuilder::new().paths(paths).build()
    }

    #[test]
    fn a_route_without_a_rule_and_a_rule_without_a_route_are_found() {
        let needs = Access::Needs(Permission::ManageOrgs);
        let (get, post) = (Rule::new(Method::GET, "/orgs", needs), Rule::new(Method::POST, "/orgs", needs));
        assert_eq!(undeclared(&document(), &[get.clone(), post.clone()]), [""; 0]);
        assert_eq!(undeclared(&document(), std::slice::from_ref(&get)), ["POST /orgs has no rule"]);
        let gone = Rule::new(Method::GET, "/org", needs);
        let wrong = undeclared(&document(), &[get.clone(), post, get, gone]);
        assert_eq!(wrong, ["GET /orgs has two rules", "GET /org has a rule and no route"]);
    }

    #[test]
    fn the_table_says_what_the_guard_does() {
        let rules = [
            Rule::new(Method::GET, "/login", Access::Public),
            Rule::new(Method::POST, "/orgs", Access::Needs(Permission::ManageOrgs)),
            Rule::new(Method::POST, "/a/{id}", Access::Needs(Permission::DecideInterventions)),
            Rule::new(
                Method::GET,
                "/a/{id}",
                Access::NeedsForOwn(Permission::ReadInterventions, Permission::OpenInterventions),
            ),
            Rule::new(Method::GET, "/all", Access::NeedsOfPlatform(Permission::ReadSessions)),
            Rule::new(Method::POST, "/switch/chat", Access::Services),
        ];
        let table = route_table(&rules);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| `GET /login` | nothing | yes | yes | yes | yes |",
                "| `POST /orgs` | `orgs.manage` | **platform** | no | no | no |",
                "| `POST /a/{id}` | `interventions.decide` | yes | yes | no | no |",
                "| `GET /a/{id}` | `interventions.read`, or `interventions.open` for one's own | yes | yes | yes | no |",
                "| `GET /all` | `sessions.read` | **platform** | **platform** | **platform** | no |",
                "| `POST /switch/chat` | the shared token | no | no | no | no |",
            ]
        );
    }
}
