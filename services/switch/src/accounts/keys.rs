//! The configured keys, and who holds them.
//!
//! Only the SHA-256 of a secret is kept. Secrets are random, so a fast hash is right for them; and a table that is
//! asked by hash tells nobody by its timing how much of a guess was right.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use anyhow::Context;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use vx11_chassis::config::Secrets;
use vx11_contracts::identity::{KeyBudget, KeyLimits, OrgId, Principal};

use super::INTERNAL;
use super::account::{Account, Meter, Tenant, Unit};
use super::local::lock;
use super::money::Usd;
use super::period::Period;
use super::tenants::Tenants;
use crate::config::{BudgetConfig, KeyConfig, OrgConfig, SwitchConfig};

/// The SHA-256 of a secret.
pub(super) type Digest = [u8; 32];

/// Hashes digests, which are random already: only where all that is kept are secrets that somebody was given. Whoever
/// chose them could have many fall into one place.
pub(super) type ByDigest = BuildHasherDefault<FirstBytes>;

/// The first bytes of a digest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        // The last that is written are the digest's; before them comes how many they are.
        self.0 = bytes.first_chunk().map_or(self.0, |first| u64::from_ne_bytes(*first));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Every key of the configuration that is let in, by its digest; and who shares limits.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    by_digest: HashMap<Digest, Arc<Account>, ByDigest>,
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
        let mut by_digest = HashMap::with_capacity_and_hasher(config.keys.len(), ByDigest::default());
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

    /// The account of a caller whom the operator knows: its own limits, if it has some, and those of its organisation,
    /// together with its other keys.
    pub(super) fn of_identity(&self, principal: &Principal, limits: Option<&KeyLimits>) -> Account {
        self.within(ledger_name(&principal.subject), principal.org.as_str(), limits)
    }

    /// The account of what VX11's own services ask for `org`: what it may, together with its keys.
    pub(super) fn of_services_for(&self, org: &OrgId) -> Account {
        self.within(INTERNAL.into(), org.as_str(), None)
    }

    fn within(&self, key: Arc<str>, org: &str, limits: Option<&KeyLimits>) -> Account {
        let tenant = self.tenants.open(of_org(org));
        let own = KeyConfig { org: Some(org.to_owned()), ..limits.map(own_terms).unwrap_or_default() };
        let meters = meters_of(&tenant, &key, &own, &self.orgs);
        Account { key, org: org.into(), team: "".into(), models: own.models, meters, tenant }
    }
}

/// `limits` in the words of the configuration.
fn own_terms(limits: &KeyLimits) -> KeyConfig {
    // An amount that cannot be read is nothing: rather refused than without a limit.
    let budget = |budget: KeyBudget| BudgetConfig {
        usd: budget.usd.to_string().parse().unwrap_or(Usd::ZERO),
        period: budget.period,
    };
    KeyConfig {
        models: limits.models.clone(),
        requests_per_minute: limits.requests_per_minute,
        requests_per_day: limits.requests_per_day,
        tokens_per_minute: limits.tokens_per_minute,
        tokens_per_day: limits.tokens_per_day,
        budget: limits.budget.map(budget),
        ..KeyConfig::default()
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
        meters.extend(limit.map(|limit| lock(tenant).open(scope, unit, period, limit)));
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

#[cfg(test)]
mod tests {
    use vx11_contracts::identity::BudgetPeriod;

    use super::*;

    fn caller(subject: &str) -> Principal {
        Principal { org: "acme".parse().expect("an id"), subject: subject.into(), ..Principal::service() }
    }

    fn rpm(requests: u64) -> KeyLimits {
        KeyLimits { requests_per_minute: Some(requests), ..KeyLimits::default() }
    }

    fn counters(account: &Account) -> usize {
        lock(&account.tenant).cells.len()
    }

    #[test]
    fn a_changed_limit_goes_on_with_the_counter_that_somebody_counts_in() {
        let keys = Keys::default();
        let before = keys.of_identity(&caller("key:a"), Some(&rpm(2)));
        lock(&before.tenant).cells[0].now.said.used = 7;
        let after = keys.of_identity(&caller("key:a"), Some(&rpm(9)));
        assert_eq!((after.meters[0].limit, after.meters[0].slot), (9, before.meters[0].slot));
        let other = keys.of_identity(&caller("key:b"), Some(&rpm(2)));
        assert_ne!(other.meters[0].slot, before.meters[0].slot, "another key has its own");
        drop((before, after));
        let later = keys.of_identity(&caller("key:a"), Some(&rpm(2)));
        assert!(super::super::local::is_new(&later.tenant, &later.meters[0]), "the ledger knows what it missed");
    }

    #[test]
    fn a_book_has_no_more_counters_than_its_callers_have_limits() {
        let keys = Keys::default();
        let budget = KeyBudget { usd: 0.15, period: BudgetPeriod::Total };
        let limits = KeyLimits { budget: Some(budget), tokens_per_day: Some(9), ..rpm(2) };
        let stays = keys.of_identity(&caller("key:stays"), Some(&limits));
        assert_eq!(stays.meters[2].limit, 150_000_000_000);
        for n in 0..1000 {
            keys.of_identity(&caller(&format!("key:{n}")), Some(&limits));
        }
        assert_eq!(counters(&stays), 6);
    }

    #[test]
    fn a_digest_is_found_by_its_first_bytes() {
        let hashed = |digest: Digest| std::hash::BuildHasher::hash_one(&ByDigest::default(), digest);
        let mut digest = sha256("one");
        let first = u64::from_ne_bytes(*digest.first_chunk().expect("bytes"));
        assert_eq!(hashed(digest), first);
        digest[7] ^= 1;
        assert_ne!(hashed(digest), first);
    }

    #[test]
    fn an_amount_that_cannot_be_read_is_nothing() {
        for usd in [-1.0, f64::NAN, 1e300] {
            let budget = KeyBudget { usd, period: BudgetPeriod::Day };
            let limits = KeyLimits { budget: Some(budget), ..KeyLimits::default() };
            assert_eq!(Keys::default().of_identity(&caller("key:a"), Some(&limits)).meters[0].limit, 0);
        }
    }
}
