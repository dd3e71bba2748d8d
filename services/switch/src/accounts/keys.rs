//! The configured keys, and who holds them.
//!
//! Only the SHA-256 of a secret is kept. Secrets are random, so a fast hash is right for them; and a table that is
//! asked by hash tells nobody by its timing how much of a guess was right.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use vx11_chassis::config::Secrets;
use vx11_contracts::identity::{OrgId, Principal};

use super::INTERNAL;
use super::account::{Account, Cell, Meter, Tenant, Unit};
use super::local::lock;
use super::period::Period;
use super::tenants::Tenants;
use crate::config::{BudgetConfig, KeyConfig, OrgConfig, SwitchConfig};

/// The SHA-256 of a secret.
pub(super) type Digest = [u8; 32];

/// Every key of the configuration that is let in, by its digest; and who shares limits.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    by_digest: HashMap<Digest, Arc<Account>>,
    /// What organisations may ask and spend.
    orgs: BTreeMap<String, OrgConfig>,
    tenants: Arc<Tenants>,
}

impl Keys {
    /// The keys of `config`, with secrets from `secrets`. One whose variable is not set is left out. A tenant of
    /// `before` stays the same one, with its counters.
    ///
    /// # Errors
    /// When a secret cannot be read, or two keys have the same one.
    pub(crate) fn new(config: &SwitchConfig, secrets: &Secrets, before: Option<&Self>) -> anyhow::Result<Self> {
        let tenants = before.map(|before| before.tenants.clone()).unwrap_or_default();
        let mut by_digest = HashMap::with_capacity(config.keys.len());
        for (name, key) in config.keys.iter().filter(|(_, key)| key.enabled != Some(false)) {
            let Some(digest) = digest_of(name, key, secrets)? else { continue };
            let tenant = key.org.as_ref().map_or_else(|| format!("key:{name}"), |org| of_org(org));
            let tenant = tenants.open(tenant);
            let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
            let account = Account {
                key: name.as_str().into(),
                org: text(&key.org),
                team: text(&key.team),
                models: key.models.clone(),
                meters: meters_of(&tenant, name, key, &config.orgs),
                tenant,
            };
            if by_digest.insert(digest, Arc::new(account)).is_some() {
                anyhow::bail!("switch.keys.{name}: another key has the same secret");
            }
        }
        Ok(Self { by_digest, orgs: config.orgs.clone(), tenants })
    }

    /// Whose the secret with this digest is.
    pub(crate) fn find(&self, digest: &Digest) -> Option<&Arc<Account>> {
        self.by_digest.get(digest)
    }

    /// Every account.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.by_digest.values()
    }

    /// The account of a caller whom the operator knows: what its organisation may, together with its other keys.
    pub(super) fn of_identity(&self, principal: &Principal) -> Account {
        self.within(ledger_name(&principal.subject), principal.org.as_str())
    }

    /// The account of what VX11's own services ask for `org`: what it may, together with its keys.
    pub(super) fn of_services_for(&self, org: &OrgId) -> Account {
        self.within(INTERNAL.into(), org.as_str())
    }

    fn within(&self, key: Arc<str>, org: &str) -> Account {
        let tenant = self.tenants.open(of_org(org));
        let own = KeyConfig { org: Some(org.to_owned()), ..KeyConfig::default() };
        let meters = meters_of(&tenant, &key, &own, &self.orgs);
        Account { key, org: org.into(), team: "".into(), models: None, meters, tenant }
    }
}

/// The tenant that the keys of an organisation are.
fn of_org(org: &str) -> String {
    format!("org:{org}")
}

/// Under which name the ledger has a caller whom the operator knows. Keys of the configuration have no colon in their
/// names, so nobody is taken for one of them, or for one of VX11's own.
fn ledger_name(subject: &Arc<str>) -> Arc<str> {
    if subject.contains(':') { subject.clone() } else { format!("pilot:{subject}").into() }
}

/// The digest that stands in the configuration as hexadecimal digits.
pub(crate) fn digest_of_hex(hex: &SecretString) -> Option<Digest> {
    let hex = hex.expose_secret().as_bytes();
    if hex.len() != 64 {
        return None;
    }
    let mut digest = Digest::default();
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(digest)
}

fn digest_of(name: &str, key: &KeyConfig, secrets: &Secrets) -> anyhow::Result<Option<Digest>> {
    if let Some(hex) = &key.sha256 {
        return digest_of_hex(hex).map(Some).with_context(|| format!("switch.keys.{name}.sha256"));
    }
    let variable = key.secret_env.as_deref().with_context(|| format!("switch.keys.{name}: no secret"))?;
    let Some(secret) = secrets.get(variable)? else {
        tracing::warn!(key = name, variable, "the key's variable is not set; nobody is let in with it");
        return Ok(None);
    };
    let secret = secret.expose_secret();
    anyhow::ensure!(!secret.is_empty(), "switch.keys.{name}: {variable} is empty");
    Ok(Some(sha256(secret)))
}

pub(super) fn sha256(secret: &str) -> Digest {
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    bytes
}

/// The limits of a key, its team and its organisation. Those that a team or an organisation has are shared by its keys.
fn meters_of(tenant: &Tenant, name: &str, key: &KeyConfig, orgs: &BTreeMap<String, OrgConfig>) -> Vec<Meter> {
    let mut meters = Vec::new();
    let mut add = |scope: &Arc<str>, unit, period, limit: Option<u64>| {
        meters.extend(limit.map(|limit| meter(tenant, scope, unit, period, limit)));
    };
    let own: Arc<str> = format!("key:{name}").into();
    add(&own, Unit::Requests, Period::Minute, key.requests_per_minute);
    add(&own, Unit::Tokens, Period::Minute, key.tokens_per_minute);
    add(&own, Unit::Requests, Period::Day, key.requests_per_day);
    add(&own, Unit::Tokens, Period::Day, key.tokens_per_day);
    let org = key.org.as_ref().and_then(|org| orgs.get_key_value(org));
    let org = org.map(|(name, org)| (Arc::<str>::from(of_org(name)), org));
    if let Some((all, org)) = &org {
        add(all, Unit::Requests, Period::Minute, org.requests_per_minute);
        add(all, Unit::Tokens, Period::Minute, org.tokens_per_minute);
        add(all, Unit::Requests, Period::Day, org.requests_per_day);
        add(all, Unit::Tokens, Period::Day, org.tokens_per_day);
    }
    let mut budget = |scope: &Arc<str>, budget: Option<BudgetConfig>| {
        if let Some(BudgetConfig { usd, period }) = budget {
            add(scope, Unit::Money, period.into(), Some(usd.picos()));
        }
    };
    budget(&own, key.budget);
    if let Some((all, org)) = &org {
        if let Some((team_name, team)) = key.team.as_ref().and_then(|team| org.teams.get_key_value(team)) {
            budget(&format!("team:{team_name}").into(), team.budget);
        }
        budget(all, org.budget);
    }
    meters
}

/// A limit with its counter in the tenant's book, a new one where there is none. Counters are never taken out: requests
/// under way know them by their places.
fn meter(tenant: &Tenant, scope: &Arc<str>, unit: Unit, period: Period, limit: u64) -> Meter {
    let mut book = lock(tenant);
    let same = |cell: &Cell| cell.scope == *scope && cell.unit == unit && cell.period == period;
    let slot = book.cells.iter().position(same).unwrap_or_else(|| {
        book.cells.push(Cell::new(unit, scope.clone(), period));
        book.cells.len() - 1
    });
    Meter { scope: scope.clone(), unit, period, limit, slot }
}
