//! Who calls: roles, organisations, scopes, permissions, and the principal that they make together.
//!
//! Plain data and one table. How a caller proves who it is stands in `vx11-identity`.

mod account;
mod introspection;
mod key_limits;
mod login;
mod org;
mod permission;
mod pilot;
mod principal;
mod role;
mod scope;

pub use account::{ApiKey, KeyMade, MAX_NAME_CHARS, NewKey, NewOrg, Org, Whoami};
pub use introspection::{Introspect, Introspected, IntrospectedCaller};
pub use key_limits::{BudgetPeriod, KeyBudget, KeyChange, KeyLimits, KeyLimitsChange};
pub use login::{LoginProvider, LoginWays, PasswordLogin, TokenGranted};
pub use org::{BadOrgId, OrgId};
pub use permission::Permission;
pub use pilot::{Pilot, PilotChange};
pub use principal::Principal;
pub use role::{Role, UnknownRole};
pub use scope::{Scope, Scopes};
