//! The configured keys, and who holds them.
//!
//! Only the SHA-256 of a secret is kept. Secrets are random, so a fast hash is right for them; and a table that is asked
//! by hash tells nobody by its timing how much of a guess was right.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use vx11_chassis::config::Secrets;

use super::account::{Account, Cell, Meter, Tenant, Unit};
use super::period::{Period, Window};
use crate::config::{BudgetConfig, KeyConfig, SwitchConfig};

/// The SHA-256 of a secret.
type Digest = [u8; 32];

/// Every key that is let in, by its digest.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<Digest, Arc<Account>>);

impl Keys {
    /// The keys of `config`, with secrets from `secrets`. One whose variable is not set is left out.
    ///
    /// # Errors
    /// When a secret cannot be read, or two keys have the same one.
    pub(crate) fn new(config: &SwitchConfig, secrets: &Secrets) -> anyhow::Result<Self> {
        let mut tenants: BTreeMap<String, TenantPlan> = BTreeMap::new();
        let mut named = Vec::new();
        for (name, key) in config.keys.iter().filter(|(_, key)| key.enabled != Some(false)) {
            let digest = digest_of(name, key, secrets)?;
            let tenant = key.org.as_ref().map_or_else(|| format!("key:{name}"), |org| format!("org:{org}"));
            let plan = tenants.entry(tenant.clone()).or_default();
            let meters = plan.meters_of(name, key, config);
            if let Some(digest) = digest {
                named.push((name, key, digest, tenant, meters));
            }
        }
        let tenants: BTreeMap<String, Arc<Tenant>> =
            tenants.into_iter().map(|(name, plan)| (name.clone(), plan.open(name))).collect();
        let mut keys = HashMap::with_capacity(named.len());
        for (name, key, digest, tenant, meters) in named {
            let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
            let account = Account {
                key: name.as_str().into(),
                org: text(&key.org),
                team: text(&key.team),
                models: key.models.clone(),
                meters,
                tenant: tenants[&tenant].clone(),
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

/// The meters of a tenant, while its keys are read: a team's and an organisation's are shared by their keys.
#[derive(Default)]
struct TenantPlan {
    meters: Vec<Meter>,
}

impl TenantPlan {
    fn meters_of(&mut self, name: &str, key: &KeyConfig, config: &SwitchConfig) -> Vec<Meter> {
        let own: Arc<str> = format!("key:{name}").into();
        let mut meters = Vec::new();
        let mut add = |scope: &Arc<str>, unit, period, limit: Option<u64>| {
            meters.extend(limit.map(|limit| self.meter(scope, unit, period, limit)));
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

    fn meter(&mut self, scope: &Arc<str>, unit: Unit, period: Period, limit: u64) -> Meter {
        let same = |meter: &&Meter| meter.scope == *scope && meter.unit == unit && meter.period == period;
        if let Some(shared) = self.meters.iter().find(same) {
            return shared.clone();
        }
        let meter = Meter { scope: scope.clone(), unit, period, limit, slot: self.meters.len() };
        self.meters.push(meter.clone());
        meter
    }

    fn open(self, name: String) -> Arc<Tenant> {
        let cells = vec![Cell { window: Window::EMPTY, used: 0 }; self.meters.len()];
        Arc::new(Tenant { name, book: Mutex::new(cells) })
    }
}
