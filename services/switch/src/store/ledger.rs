//! Rows on their way into the ledger.

use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use vx11_store::{AnyConnection, Sink, insert};

use super::days;
use crate::accounts::{Tokens, Usd};

/// One request, as it ended.
#[derive(Clone, Debug)]
pub(crate) struct LedgerRow {
    /// When it came in, in Unix milliseconds.
    pub(crate) at_ms: i64,
    pub(crate) correlation_id: Arc<str>,
    /// Empty where the key belongs to none.
    pub(crate) org: Arc<str>,
    pub(crate) team: Arc<str>,
    pub(crate) key: Arc<str>,
    /// The model that was asked for.
    pub(crate) model: Box<str>,
    /// Who was called last, and for which model; empty where nobody was.
    pub(crate) provider: Box<str>,
    pub(crate) provider_model: Arc<str>,
    pub(crate) tokens: Tokens,
    /// Whether a part of the tokens is an estimate.
    pub(crate) estimated: bool,
    /// Whether the answer came out of the cache.
    pub(crate) from_cache: bool,
    pub(crate) cost: Usd,
    pub(crate) latency_ms: u64,
    /// The intervention that it was held by.
    pub(crate) intervention: Option<Arc<str>>,
}

/// Writes rows, and what their days come to.
pub(super) struct LedgerSink;

impl Sink for LedgerSink {
    type Row = LedgerRow;
    type Receipt = ();

    fn apply(&self, conn: &mut AnyConnection, rows: &[LedgerRow]) -> QueryResult<()> {
        let entries: Vec<Entry<'_>> = rows.iter().map(Entry::from).collect();
        Entry::insert(conn, &entries.iter().collect::<Vec<_>>())?;
        days::add(conn, rows)
    }
}

/// A row as the table has it.
struct Entry<'a> {
    timestamp: String,
    correlation_id: &'a str,
    org: &'a str,
    team: &'a str,
    api_key: &'a str,
    model: &'a str,
    provider: &'a str,
    provider_model: &'a str,
    prompt_tokens: i64,
    cached_tokens: i64,
    cache_written_tokens: i64,
    completion_tokens: i64,
    reasoning_tokens: i64,
    estimated: bool,
    from_cache: bool,
    cost_picos: i64,
    latency_ms: i64,
    intervention: Option<&'a str>,
}
insert! {
    Entry<'_> into usage_ledger {
        timestamp: Text,
        correlation_id: Text,
        org: Text,
        team: Text,
        api_key: Text,
        model: Text,
        provider: Text,
        provider_model: Text,
        prompt_tokens: BigInt,
        cached_tokens: BigInt,
        cache_written_tokens: BigInt,
        completion_tokens: BigInt,
        reasoning_tokens: BigInt,
        estimated: Bool,
        from_cache: Bool,
        cost_picos: BigInt,
        latency_ms: BigInt,
        intervention: Nullable<Text>,
    }
}

impl<'a> From<&'a LedgerRow> for Entry<'a> {
    fn from(row: &'a LedgerRow) -> Self {
        Self {
            timestamp: super::usage::rfc3339(row.at_ms),
            correlation_id: &row.correlation_id,
            org: &row.org,
            team: &row.team,
            api_key: &row.key,
            model: &row.model,
            provider: &row.provider,
            provider_model: &row.provider_model,
            prompt_tokens: tokens(row.tokens.prompt),
            cached_tokens: tokens(row.tokens.cached),
            cache_written_tokens: tokens(row.tokens.cache_written),
            completion_tokens: tokens(row.tokens.completion),
            reasoning_tokens: tokens(row.tokens.reasoning),
            estimated: row.estimated,
            from_cache: row.from_cache,
            cost_picos: whole(row.cost.picos()),
            latency_ms: whole(row.latency_ms),
            intervention: row.intervention.as_deref(),
        }
    }
}

/// Databases' integers have a sign.
pub(super) fn whole(number: u64) -> i64 {
    number.min(i64::MAX as u64) as i64
}

/// Most tokens that are counted of one request: a provider may say what it likes, and the sum of a day must not end.
const MOST_TOKENS: u64 = 1 << 40;

/// A number of tokens.
pub(super) fn tokens(number: u64) -> i64 {
    whole(number.min(MOST_TOKENS))
}
