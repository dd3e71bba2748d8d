//! What can be permitted, and from which role on: the one table.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Role, Scope};

/// Declares [`Permission`] from one table, so that name, role and scope cannot drift apart.
macro_rules! permissions {
    ($($variant:ident, $name:tt, $role:ident, $scope:ident, $reach:ident, $meaning:literal;)+) => {
        /// Something that a route needs leave for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum Permission {
            $(#[doc = $meaning] #[serde(rename = $name)] $variant,)+
        }

        impl Permission {
            /// Every permission, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The lowest role that has it.
            pub const fn role(self) -> Role {
                match self { $(Self::$variant => Role::$role,)+ }
            }

            /// The scope that a key needs for it.
            pub const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$scope,)+ }
            }

            /// Whether only the platform's own organisation has it.
            pub const fn is_platforms(self) -> bool {
                match self { $(Self::$variant => matches!(Reach::$reach, Reach::Platform),)+ }
            }

            /// What it permits, in a few words.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

/// Over what a permission reaches.
enum Reach {
    /// The caller's own organisation.
    Own,
    /// The whole installation.
    Platform,
}

permissions! {
    ReadInterventions, "interventions.read", Viewer, Read, Own, "Read interventions, their history and metrics, and follow them live.";
    OpenInterventions, "interventions.open", Operator, Agent, Own, "Open an intervention; read it, wait for it, redeem its decision, withdraw it.";
    DecideInterventions, "interventions.decide", Operator, Pilot, Own, "Claim, release, approve, reject, edit and answer, up to the request's `required_role`.";
    ReadUnits, "units.read", Viewer, Read, Own, "Read units of work.";
    ReportUnits, "units.report", Operator, Agent, Own, "Register a unit of work, its heartbeats and its transitions.";
    KillSwitch, "pilot.kill_switch", Admin, Pilot, Own, "Pause every unit of an instance that is active, silent or about to begin.";
    Clarify, "pilot.clarification", Operator, Pilot, Own, "Give a stuck unit the text it waits for.";
    Waive, "pilot.waive", Admin, Pilot, Own, "Waive a guardian's rule once.";
    Resume, "pilot.resume", Operator, Pilot, Own, "Let a parked transition pass once.";
    CancelUnit, "pilot.cancel", Operator, Pilot, Own, "Fail a unit of work.";
    Chat, "chat", Operator, Chat, Own, "Chat, and open and close what a chat needs.";
    ReadSessions, "sessions.read", Viewer, Read, Own, "Read sessions and events.";
    ReadMetrics, "metrics.read", Viewer, Read, Own, "Read status, metrics, flags and breakers.";
    ReadAudit, "audit.read", Viewer, Read, Own, "Read the audit trail.";
    Replay, "audit.replay", Operator, Pilot, Own, "Run a request again.";
    UseGateway, "gateway.use", Operator, Gateway, Own, "Call the gateway's `/v1`, within budgets.";
    ReadPilots, "pilots.read", Viewer, Read, Own, "List pilots and their roles.";
    ManagePilots, "pilots.manage", Admin, Admin, Own, "Invite pilots, change their roles, end their sessions.";
    ManageKeys, "keys.manage", Admin, Admin, Own, "Make, list, change and revoke API keys.";
    ManagePolicies, "policies.manage", Admin, Admin, Own, "Change hold policies, notifications and routing.";
    ManageFlags, "flags.manage", Admin, Admin, Platform, "Change feature flags.";
    ManagePower, "power.manage", Admin, Admin, Platform, "Power windows, start and stop of services, maintenance.";
    VerifyAudit, "audit.verify", Admin, Admin, Own, "Prove the audit log's hash chain.";
    ManageOrgs, "orgs.manage", Admin, Admin, Platform, "Make, list and close organisations.";
    ManageSigningKeys, "signing_keys.manage", Admin, Admin, Platform, "Rotate the keys that sign access tokens.";
    ReadPlatform, "platform.read", Admin, Read, Platform, "Reports across organisations.";
}

impl Permission {
    /// The permission of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OrgId, Principal, Scopes};
    use super::*;

    fn principal(org: &str, role: Role, scopes: Scopes) -> Principal {
        Principal { org: org.parse().expect("an id"), subject: "someone".into(), role, scopes }
    }

    /// The table as people read it, from what [`Principal::may`] answers.
    fn catalogue() -> String {
        let mut text = String::from(
            "# Permissions\n\nGenerated from the contracts crate by `make contracts`.\n\nWhat is not permitted here is \
             denied, and so are a role, a scope and a permission that nobody knows.\n**platform** stands where only ADMINs \
             of the organisation `default`, which keeps the installation, may. A person who\nhas logged in has every scope; \
             an API key has those that it was made with, and within them what its role may.\nEverything is within the \
             caller's own organisation, unless it says otherwise.\n\n| permission | scope | ADMIN | OPERATOR | VIEWER | |\n\
             |---|---|---|---|---|---|\n",
        );
        for permission in Permission::ALL {
            text += &format!("| `{}` | `{}` |", permission.as_str(), permission.scope().as_str());
            for role in Role::ALL {
                let may = |org| principal(org, role, Scopes::ALL).may(*permission);
                let cell = match (may("acme"), may(OrgId::PLATFORM)) {
                    (true, true) => "yes",
                    (false, true) => "**platform**",
                    (true, false) => unreachable!("the platform's own may what others may"),
                    (false, false) => "no",
                };
                text += &format!(" {cell} |");
            }
            text += &format!(" {} |\n", permission.meaning());
        }
        text
    }

    #[test]
    fn the_catalogue_of_permissions_in_the_docs_is_the_one_in_the_code() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/permissions.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file, catalogue()).expect("writable");
        }
        assert_eq!(std::fs::read_to_string(file).expect("readable"), catalogue(), "run `make contracts`");
    }

    #[test]
    fn the_contracts_role_table_holds() {
        use Permission as P;
        let may = |role, permission| principal("acme", role, Scopes::ALL).may(permission);
        for permission in [P::KillSwitch, P::Waive, P::ManagePilots] {
            assert!(may(Role::Admin, permission));
            assert!(!may(Role::Operator, permission) && !may(Role::Viewer, permission), "{permission:?}");
        }
        for permission in [P::Clarify, P::Resume, P::CancelUnit, P::DecideInterventions] {
            assert!(may(Role::Admin, permission) && may(Role::Operator, permission));
            assert!(!may(Role::Viewer, permission), "{permission:?}");
        }
        for permission in [P::ReadInterventions, P::ReadUnits, P::ReadAudit, P::ReadMetrics, P::ReadSessions] {
            assert!(Role::ALL.into_iter().all(|role| may(role, permission)), "{permission:?}");
        }
    }

    #[test]
    fn reports_across_tenants_are_for_the_platforms_admins_only() {
        assert!(principal(OrgId::PLATFORM, Role::Admin, Scopes::ALL).may(Permission::ReadPlatform));
        assert!(!principal(OrgId::PLATFORM, Role::Operator, Scopes::ALL).may(Permission::ReadPlatform));
        assert!(!principal("acme", Role::Admin, Scopes::ALL).may(Permission::ReadPlatform));
    }

    #[test]
    fn a_key_may_only_what_its_scopes_name_and_an_agents_decides_nothing() {
        let agent = principal("acme", Role::Admin, [Scope::Agent].into_iter().collect());
        assert!(agent.may(Permission::OpenInterventions));
        assert!(!agent.may(Permission::DecideInterventions) && !agent.may(Permission::ReadAudit));
        let nothing = principal(OrgId::PLATFORM, Role::Admin, Scopes::NONE);
        assert_eq!(nothing.permissions().count(), 0);
    }

    #[test]
    fn names_are_unique_and_what_nobody_knows_is_denied() {
        for permission in Permission::ALL {
            assert_eq!(Permission::from_name(permission.as_str()), Some(*permission));
            assert_eq!(serde_json::to_value(permission).expect("serialises"), permission.as_str());
            assert!(Principal::service().may(*permission));
        }
        assert!(!Principal::service().may_named("everything"));
        assert!(Principal::service().may_named("chat"));
    }
}
