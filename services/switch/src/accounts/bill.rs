//! One request's bill: opened before the gateway is asked, settled when nobody holds it any more.
//!
//! Every provider call of the request holds the bill and reports to it once. So the end of the request needs no place
//! in the code: an answer that was sent, a call that failed, a stream that broke and a client that left all end in the
//! last holder being dropped.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;

use super::account::{Account, Amounts};
use super::credentials::Caller;
use super::meters::{Refused, Reservation};
use super::money::Usd;
use super::period::now_ms;
use super::terms::Terms;
use super::tokens::Tokens;
use super::{Accounts, ModelSpent, estimate};
use crate::domain::operation::Operation;
use crate::store::LedgerRow;
use crate::tokenizer::{self, Vocabulary};

/// What a bill is opened for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// The model that the caller named.
    pub(crate) model: &'a str,
    /// The body of the request.
    pub(crate) body: &'a Bytes,
    /// The tokens in it, about, where they were counted.
    pub(crate) prompt: &'a OnceLock<u64>,
    /// What is asked for in it.
    pub(crate) operation: Operation,
    /// Tokens that the answer may have at most, where the caller says so, for each of its choices.
    pub(crate) max_output: Option<u64>,
    /// How many choices are written, whether they are handed out or not.
    pub(crate) candidates: u32,
    /// The request's identity.
    pub(crate) correlation_id: &'a Arc<str>,
    /// When it came in.
    pub(crate) started: Instant,
    /// Whether the answer is kept already, so that nothing will be spent.
    pub(crate) is_kept: bool,
    /// The intervention that it was held by.
    pub(crate) intervention: Option<Arc<str>>,
}

/// Why a request is not let in.
#[derive(Debug)]
pub(crate) enum Denied {
    /// The key may not use the model; these it may.
    Model(Vec<String>),
    /// A limit is reached.
    Limit(Refused),
}

/// What one provider call spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge<'a> {
    pub(crate) provider: &'a str,
    /// The model as the provider knows it.
    pub(crate) model: &'a Arc<str>,
    /// What is counted of it.
    pub(crate) spent: &'a ModelSpent,
    pub(crate) tokens: Tokens,
    /// What is on the bill in their place, having been expected.
    pub(crate) about: Tokens,
    /// Whether the tokens are an estimate.
    pub(crate) estimated: bool,
}

/// An open bill. A clone is the same bill.
#[derive(Clone, Debug)]
pub(crate) struct Bill(Arc<Open>);

#[derive(Debug)]
struct Open {
    accounts: Arc<Accounts>,
    terms: Arc<Terms>,
    account: Arc<Account>,
    model: Box<str>,
    correlation_id: Arc<str>,
    started: Instant,
    at_ms: i64,
    intervention: Option<Arc<str>>,
    request: Bytes,
    operation: Operation,
    /// The request's tokens, about.
    prompt: OnceLock<u64>,
    /// The same, counted, by vocabulary.
    counted: [OnceLock<u64>; 2],
    /// `None` for a caller without meters.
    reservation: Mutex<Option<Reservation>>,
    spent: Mutex<Spent>,
}

/// What the calls of the request have spent so far.
#[derive(Debug, Default)]
struct Spent {
    tokens: Tokens,
    cost: Usd,
    estimated: bool,
    provider: Box<str>,
    provider_model: Option<Arc<str>>,
    /// Whether the answer came out of the cache.
    from_cache: bool,
}

impl Accounts {
    /// Opens a bill for a request of `caller` that leads to `models`: checks what the key may do, and reserves an
    /// estimate on all of its meters.
    pub(crate) async fn bill<'m>(
        self: &Arc<Self>,
        caller: Caller,
        asked: Asked<'_>,
        models: impl Iterator<Item = &'m str>,
    ) -> Result<Bill, Denied> {
        let account = match caller {
            Caller::Internal => self.internal.clone(),
            Caller::Key(account) => account,
        };
        if !account.may_use(asked.model) {
            return Err(Denied::Model(account.models.clone().unwrap_or_default()));
        }
        let terms = self.terms();
        let at_ms = now_ms();
        let mut reservation = None;
        if !account.meters.is_empty() {
            // Where requests alone are counted, the body need not be read for its tokens.
            let amounts = if asked.is_kept || !account.counts_tokens() {
                Amounts { requests: 1, ..Amounts::default() }
            } else {
                let counts_money = account.has_budget();
                expected(&terms, &asked, models.filter(|_| counts_money))
            };
            let reserved = self.meters.reserve(&account, amounts, at_ms).await;
            reservation = Some(reserved.map_err(|refused| {
                self.metrics.refused(&refused);
                Denied::Limit(refused)
            })?);
        }
        Ok(Bill(Arc::new(Open {
            accounts: self.clone(),
            terms,
            account,
            model: asked.model.into(),
            correlation_id: asked.correlation_id.clone(),
            started: asked.started,
            at_ms,
            intervention: asked.intervention,
            request: asked.body.clone(),
            operation: asked.operation,
            prompt: asked.prompt.clone(),
            counted: Default::default(),
            reservation: Mutex::new(reservation),
            spent: Mutex::default(),
        })))
    }
}

impl Accounts {
    /// What a request that leads to `models` is expected to cost: of the models that it may end at, the dearest. `None`
    /// where one of them has no price.
    pub(crate) fn expected_cost<'m>(
        &self,
        asked: &Asked<'_>,
        models: impl Iterator<Item = &'m str> + Clone,
    ) -> Option<Usd> {
        let terms = self.terms();
        let are_known = models.clone().all(|model| terms.has_price(model));
        are_known.then(|| expected(&terms, asked, models).money)
    }
}

/// What a request will take, about: of the models that it may end at, the dearest.
fn expected<'m>(terms: &Terms, asked: &Asked<'_>, models: impl Iterator<Item = &'m str>) -> Amounts {
    let read = *asked.prompt.get_or_init(|| estimate::tokens_in(asked.body));
    let written = asked.max_output.unwrap_or(terms.assumed_output).saturating_mul(asked.candidates.max(1).into());
    let tokens = Tokens { prompt: read, completion: written, ..Tokens::default() };
    let costs = models.filter_map(|model| terms.prices.find(model)).map(|price| price.of(tokens));
    Amounts { requests: 1, tokens: tokens.total(), money: costs.max().unwrap_or_default() }
}

impl Bill {
    /// Takes in what one provider call spent.
    pub(crate) fn charge(&self, charge: &Charge<'_>) {
        let open = &*self.0;
        let price = open.terms.prices.find(charge.model);
        let cost = price.map(|price| price.of(charge.tokens));
        charge.spent.count(&charge.tokens, charge.estimated, cost);
        let about = price.map(|price| price.of(charge.about)).unwrap_or_default();
        let mut spent = open.spent.lock();
        spent.tokens = spent.tokens.minus(charge.about).plus(charge.tokens);
        spent.cost = spent.cost.minus(about).plus(cost.unwrap_or_default());
        spent.estimated |= charge.estimated;
        if *spent.provider != *charge.provider {
            spent.provider = charge.provider.into();
        }
        spent.provider_model = Some(charge.model.clone());
    }

    /// Takes in what a call of `model` has spent `about`, until it is charged.
    pub(crate) fn expect(&self, model: &str, about: Tokens) {
        let cost = self.0.terms.prices.find(model).map(|price| price.of(about));
        let mut spent = self.0.spent.lock();
        spent.tokens = spent.tokens.plus(about);
        spent.cost = spent.cost.plus(cost.unwrap_or_default());
    }

    /// A bill of its own for a copy of the request that goes to a shadow target: it is in the ledger, and on no
    /// caller's meters.
    pub(crate) fn of_shadow(&self) -> Self {
        let open = &*self.0;
        Self(Arc::new(Open {
            accounts: open.accounts.clone(),
            terms: open.terms.clone(),
            account: open.accounts.shadow.clone(),
            model: open.model.clone(),
            correlation_id: open.correlation_id.clone(),
            started: Instant::now(),
            at_ms: now_ms(),
            intervention: open.intervention.clone(),
            request: open.request.clone(),
            operation: open.operation,
            prompt: open.prompt.clone(),
            counted: open.counted.clone(),
            reservation: Mutex::default(),
            spent: Mutex::default(),
        }))
    }

    /// The answer came out of the cache, where `provider` had given it: it costs nothing.
    pub(crate) fn answered_by_cache(&self, provider: &str, model: &Arc<str>) {
        let mut spent = self.0.spent.lock();
        spent.from_cache = true;
        spent.provider = provider.into();
        spent.provider_model = Some(model.clone());
    }

    /// What has been spent so far.
    pub(crate) fn cost(&self) -> Usd {
        self.0.spent.lock().cost
    }

    /// The tokens that have been spent so far, by all calls together.
    pub(crate) fn tokens(&self) -> Tokens {
        self.0.spent.lock().tokens
    }

    /// What a call has spent in which so many tokens were `written`, for a provider that does not report; the model has
    /// this vocabulary, if it is known.
    pub(crate) fn estimate(&self, vocabulary: Option<Vocabulary>, written: u64) -> Tokens {
        Tokens { prompt: self.prompt_tokens(vocabulary), completion: written, ..Tokens::default() }
    }

    /// Tokens that the request has: those that were counted in the vocabulary, else about.
    pub(crate) fn prompt_tokens(&self, vocabulary: Option<Vocabulary>) -> u64 {
        let counted = vocabulary.and_then(|vocabulary| self.counted(vocabulary).get());
        counted.copied().unwrap_or_else(|| *self.0.prompt.get_or_init(|| estimate::tokens_in(&self.0.request)))
    }

    /// Counts the tokens that the request has, if that was not done yet. Long ones take their time.
    pub(crate) fn count_prompt(&self, vocabulary: Vocabulary) {
        let Open { request, operation, .. } = &*self.0;
        self.counted(vocabulary).get_or_init(|| {
            let counted = tokenizer::prompt_tokens(vocabulary, request, *operation);
            counted.unwrap_or_else(|| self.prompt_tokens(None))
        });
    }

    /// Bytes of the request that were not counted yet.
    pub(crate) fn uncounted_bytes(&self, vocabulary: Vocabulary) -> usize {
        if self.counted(vocabulary).get().is_some() { 0 } else { self.0.request.len() }
    }

    /// Does `job`, which counts so many `bytes`, on a thread of its own; drops it where that has too much to do.
    pub(crate) fn later(&self, bytes: usize, job: Box<dyn FnOnce() + Send>) {
        self.0.accounts.tally.later(&self.0.account.tenant, bytes, job);
    }

    fn counted(&self, vocabulary: Vocabulary) -> &OnceLock<u64> {
        &self.0.counted[vocabulary as usize]
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let spent = std::mem::take(self.spent.get_mut());
        let reservation = self.reservation.get_mut().take();
        if let Some(reservation) = reservation {
            let amounts = Amounts { requests: 1, tokens: spent.tokens.total(), money: spent.cost };
            self.accounts.meters.settle(reservation, amounts);
        }
        let row = LedgerRow {
            at_ms: self.at_ms,
            correlation_id: self.correlation_id.clone(),
            org: self.account.org.clone(),
            team: self.account.team.clone(),
            key: self.account.key.clone(),
            model: std::mem::take(&mut self.model),
            provider: spent.provider,
            provider_model: spent.provider_model.unwrap_or_default(),
            tokens: spent.tokens,
            estimated: spent.estimated,
            from_cache: spent.from_cache,
            cost: spent.cost,
            latency_ms: self.started.elapsed().as_millis() as u64,
            intervention: self.intervention.take(),
        };
        if let Err(error) = self.accounts.ledger.add(row) {
            self.accounts.metrics.row_lost();
            tracing::warn!(%error, correlation_id = &*self.correlation_id, "the ledger could not take a request");
        }
    }
}
