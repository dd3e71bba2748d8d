//! How people log in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::{Host, Url};
use vx11_chassis::config::ConfigError;
use vx11_contracts::identity::{OrgId, Role};

use crate::control::PASSWORD_PROVIDER;

/// Where accounts are that anybody can make: who is let in from there has to be said.
const OPEN_TO_THE_WORLD: [&str; 2] = ["https://accounts.google.com", "https://github.com"];
const GOOGLE: &str = "https://accounts.google.com";
const ENTRA: &str = "https://login.microsoftonline.com";
/// What stands before the names of those in histories who are no people.
const NOT_PEOPLE: [&str; 3] = ["key", "system", "service"];
/// Names in Entra ID that stand for more than one tenant.
const MANY_TENANTS: [&str; 3] = ["common", "organizations", "consumers"];

/// `[operator.login]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoginConfig {
    /// What people type to come here: the edge's address from outside, such as `https://vx11.example`. The addresses
    /// that providers send browsers back to begin with it, and requests with the session's cookie are taken from its
    /// pages only.
    pub public_url: Option<Url>,
    /// Whether a name and a password do as well.
    pub passwords: bool,
    /// Where people have an account, by the name that stands in addresses and before the ids of pilots.
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// `[operator.login.providers.<name>]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// Its name on the button; the one in the configuration where absent.
    #[serde(default)]
    pub label: Option<String>,
    /// For `oidc`: who makes its identity tokens, letter by letter as its discovery document says it.
    #[serde(default)]
    pub issuer: Option<String>,
    /// For `entra`: the directory's (tenant's) id.
    #[serde(default)]
    pub tenant: Option<String>,
    /// For `github`: where GitHub is, for an Enterprise Server; `https://github.com` where absent.
    #[serde(default)]
    pub url: Option<Url>,
    /// Our id there.
    pub client_id: String,
    /// The variable with our secret there, or with `_FILE` behind it the file that has it; `VX11_LOGIN_<NAME>_SECRET`
    /// where absent. A public client has none.
    #[serde(default)]
    pub client_secret_env: Option<String>,
    /// The organisation that its people are pilots of.
    #[serde(default = "OrgId::platform")]
    pub org: OrgId,
    /// The role of who comes for the first time: OPERATOR or VIEWER. An ADMIN changes it later.
    #[serde(default = "first_role")]
    pub role: Role,
    /// Who may come: logins at GitHub; elsewhere addresses that the provider vouches for, or subjects (`sub`), and for
    /// Entra ID object ids.
    #[serde(default)]
    pub allowed_logins: Vec<String>,
    /// Who may come: those of whose address, or Google organisation, the provider vouches that it is of these domains.
    #[serde(default)]
    pub allowed_domains: Vec<String>,
    /// Lets everybody in who has an account there: for a provider of one's own.
    #[serde(default)]
    pub allow_everybody: bool,
}

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// OpenID Connect.
    Oidc,
    /// OpenID Connect, at Google.
    Google,
    /// OpenID Connect, at one tenant of Microsoft Entra ID.
    Entra,
    /// GitHub's OAuth.
    Github,
}

const fn first_role() -> Role {
    Role::Operator
}

impl LoginConfig {
    /// Whether anybody can log in.
    pub fn is_on(&self) -> bool {
        self.passwords || !self.providers.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.is_on() {
            let problem = match &self.public_url {
                None => Some("must be set where people log in: the edge's address from outside"),
                Some(url) => unfit_public_url(url),
            };
            if let Some(problem) = problem {
                return Err(ConfigError::unusable("operator.login.public_url", problem));
            }
        }
        self.providers.iter().try_for_each(|(name, provider)| {
            provider.check(name).map_err(|(field, problem)| {
                let dot = if field.is_empty() { "" } else { "." };
                ConfigError::unusable(format!("operator.login.providers.{name}{dot}{field}"), problem)
            })
        })
    }
}

fn unfit_public_url(url: &Url) -> Option<&'static str> {
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.scheme() {
        _ if !is_bare => Some("must be scheme, host and port alone: cookies are for the whole host"),
        "https" => None,
        "http" if is_loopback(url) => None,
        _ => Some(
            "must begin with https://, as cookies and codes must not be read on the way; http:// does for this machine",
        ),
    }
}

/// Whether `url` leads to this machine and nowhere else.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl ProviderConfig {
    /// Who makes its identity tokens; empty for GitHub, which makes none.
    pub(crate) fn issuer(&self) -> String {
        match self.kind {
            ProviderKind::Oidc => self.issuer.clone().unwrap_or_default(),
            ProviderKind::Google => GOOGLE.to_owned(),
            ProviderKind::Entra => format!("{ENTRA}/{}/v2.0", self.tenant.as_deref().unwrap_or_default()),
            ProviderKind::Github => String::new(),
        }
    }

    /// The variable with the secret.
    pub(crate) fn secret_name(&self, name: &str) -> String {
        let of_name = || format!("VX11_LOGIN_{}_SECRET", name.to_ascii_uppercase().replace('-', "_"));
        self.client_secret_env.clone().unwrap_or_else(of_name)
    }

    /// Whether anybody in the world can have an account there.
    fn is_open_to_the_world(&self) -> bool {
        let address = match self.kind {
            ProviderKind::Github => self.url.as_ref().map_or(OPEN_TO_THE_WORLD[1], Url::as_str).to_owned(),
            _ => self.issuer(),
        };
        OPEN_TO_THE_WORLD.contains(&address.trim_end_matches('/'))
    }

    /// The field that is at fault, and why.
    fn check(&self, name: &str) -> Result<(), (&'static str, String)> {
        let err = |field, problem: &str| Err((field, problem.to_owned()));
        if !is_name(name) {
            return err("", "a provider's name is 1 to 32 lower-case letters, digits, `-` and `_`");
        }
        if name == PASSWORD_PROVIDER || NOT_PEOPLE.contains(&name) {
            return err(
                "",
                "pilots of this name would be taken for others: `local`, `key`, `system` and `service` are taken",
            );
        }
        if self.client_id.is_empty() {
            return err("client_id", "must be the id that the provider knows VX11 by");
        }
        if self.role == Role::Admin {
            return err(
                "role",
                "nobody is an ADMIN by coming: let it be OPERATOR or VIEWER, and have an ADMIN change it",
            );
        }
        self.check_address()?;
        if !self.allow_everybody && self.allowed_logins.is_empty() && self.allowed_domains.is_empty() {
            return err(
                "allowed_logins",
                "say who may come: allowed_logins, allowed_domains, or for a provider of your own \
                                         allow_everybody = true",
            );
        }
        if self.allow_everybody && self.is_open_to_the_world() {
            return err(
                "allow_everybody",
                "anybody in the world can have an account there: say who may come, by allowed_logins \
                                          or allowed_domains",
            );
        }
        if self.kind == ProviderKind::Entra && !self.allowed_domains.is_empty() {
            return err(
                "allowed_domains",
                "Entra ID vouches for no address: assign people to the application there and set \
                                          allow_everybody = true, or list their object ids in allowed_logins",
            );
        }
        Ok(())
    }

    fn check_address(&self) -> Result<(), (&'static str, String)> {
        let err = |field, problem: &str| Err((field, problem.to_owned()));
        let needless = [
            ("issuer", self.issuer.is_some(), ProviderKind::Oidc),
            ("tenant", self.tenant.is_some(), ProviderKind::Entra),
            ("url", self.url.is_some(), ProviderKind::Github),
        ];
        if let Some((field, ..)) = needless.into_iter().find(|(_, is_set, kind)| *is_set && *kind != self.kind) {
            return err(field, "is for a provider of another kind");
        }
        match (self.kind, self.tenant.as_deref()) {
            (ProviderKind::Entra, None) => return err("tenant", "must be the directory's (tenant's) id"),
            // Tokens of all tenants would be taken, and anybody can make one.
            (ProviderKind::Entra, Some(tenant)) if MANY_TENANTS.contains(&tenant) || !is_tenant(tenant) => {
                return err("tenant", "must be one tenant's id, such as 11111111-2222-3333-4444-555555555555");
            }
            _ => {}
        }
        let (field, address) = match (self.kind, &self.url) {
            (ProviderKind::Github, None) => return Ok(()),
            (ProviderKind::Github, Some(url)) => ("url", url.to_string()),
            (_, _) => ("issuer", self.issuer()),
        };
        match Url::parse(&address) {
            Ok(url) if url.query().is_some() || url.fragment().is_some() => err(field, "must have no query"),
            Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) => Ok(()),
            _ => err(field, "must be an address that begins with https://"),
        }
    }
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=32).contains(&name.len()) && name.bytes().all(fits)
}

fn is_tenant(id: &str) -> bool {
    id.len() == 36 && id.parse::<uuid::Uuid>().is_ok()
}

#[cfg(test)]
mod tests;
