//! The configured keys, and who holds them.
//!
//! Only the SHA-256 of a secret is kept. Secrets are random, so a fast hash is right for them; and a table that is
//! asked by hash tells nobody by its timing how much of a guess was right.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use vx11_chassis::config::Secrets;

use super::account::{Account, Cell, Meter, Tenant, Unit};
use super::local::lock;
use super::period::Period;
use crate::config::{BudgetConfig, KeyConfig, SwitchConfig};

/// The SHA-256 of a secret.
type Digest = [u8; 32];

/// Every key that is let in, by its digest.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<Digest, Arc<Account>>);

impl Keys {
    /// The keys of `config`, with secrets from `secrets`. One whose variable is not set is left out. A tenant of
    /// `before` stays the same one, with its counters.
    ///
    /// # Errors
    /// When a secret cannot be read, or two keys have the same one.
    pub(crate) fn new(config: &SwitchConfig, secrets: &Secrets, before: Option<&Self>) -> anyhow::Result<Self> {
        let mut tenants: BTreeMap<String, Arc<Tenant>> = before.map(Self::tenants).unwrap_or_default();
        let mut named = Vec::new();
        for (name, key) in config.keys.iter().filter(|(_, key)| key.enabled != Some(false)) {
            let digest = digest_of(name, key, secrets)?;
            let tenant = key.org.as_ref().map_or_else(|| format!("key:{name}"), |org| format!("org:{org}"));
            let open = || Arc::new(Tenant { name: tenant.clone(), book: Mutex::default() });
            let tenant = tenants.entry(tenant.clone()).or_insert_with(open).clone();
            if let Some(digest) = digest {
                named.push((name, key, digest, tenant));
            }
        }
        let mut keys = HashMap::with_capacity(named.len());
        for (name, key, digest, tenant) in named {
            let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
            let account = Account {
                key: name.as_str().into(),
                org: text(&key.org),
                team: text(&key.team),
                models: key.models.clone(),
                meters: meters_of(&tenant, name, key, config),
                tenant,
            };
            if keys.insert(digest, Arc::new(account)).is_some() {
                anyhow::bail!("switch.keys.{name}: another key has the same secret");
            }
        }
        Ok(Self(keys))
    }

    /// Whose `secret` is.
    pub(crate) fn find(&self, secret: &str) -> Option<&Arc<Account>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&sha256(secret))
    }

    fn tenants(&self) -> BTreeMap<String, Arc<Tenant>> {
        self.all().map(|account| (account.tenant.name.clone(), account.tenant.clone())).collect()
    }

    /// Every account.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.0.values()
    }
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

fn sha256(secret: &str) -> Digest {
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    bytes
}

/// The limits of a key, its team and its organisation. Those that a team or an organisation has are shared by its keys.
fn meters_of(tenant: &Tenant, name: &str, key: &KeyConfig, config: &SwitchConfig) -> Vec<Meter> {
    let own: Arc<str> = format!("key:{name}").into();
    let mut meters = Vec::new();
    let mut add = |scope: &Arc<str>, unit, period, limit: Option<u64>| {
        meters.extend(limit.map(|limit| meter(tenant, scope, unit, period, limit)));
    };
    add(&own, Unit::Requests, Period::Minute, key.requests_per_minute);
    add(&own, Unit::Tokens, Period::Minute, key.tokens_per_minute);
    add(&own, Unit::Requests, Period::Day, key.requests_per_day);
    add(&own, Unit::Tokens, Period::Day, key.tokens_per_day);
    let mut budget = |scope: &Arc<str>, budget: Option<BudgetConfig>| {
        if let Some(BudgetConfig { usd, period }) = budget {
            add(scope, Unit::Money, period.into(), Some(usd.picos()));
        }
    };
    budget(&own, key.budget);
    if let Some((org_name, org)) = key.org.as_ref().and_then(|org| config.orgs.get_key_value(org)) {
        if let Some((team_name, team)) = key.team.as_ref().and_then(|team| org.teams.get_key_value(team)) {
            budget(&format!("team:{team_name}").into(), team.budget);
        }
        budget(&format!("org:{org_name}").into(), org.budget);
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
