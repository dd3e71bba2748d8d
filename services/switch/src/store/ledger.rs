//! Rows on their way into the ledger.

use std::sync::Arc;

use diesel::prelude::*;
use vx11_store::{Connection, Sink};

use super::schema::usage_ledger;
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
}

/// Writes rows.
pub(super) struct LedgerSink;

impl Sink for LedgerSink {
    type Row = LedgerRow;
    type Receipt = ();

    fn apply(&self, conn: &mut Connection, rows: &[LedgerRow]) -> QueryResult<()> {
        use usage_ledger as column;
        for row in rows {
            let values = (
                column::timestamp.eq(super::usage::rfc3339(row.at_ms)),
                column::correlation_id.eq(&*row.correlation_id),
                column::org.eq(&*row.org),
                column::team.eq(&*row.team),
                column::api_key.eq(&*row.key),
                column::model.eq(&*row.model),
                column::provider.eq(&*row.provider),
                column::provider_model.eq(&*row.provider_model),
                column::prompt_tokens.eq(whole(row.tokens.prompt)),
                column::cached_tokens.eq(whole(row.tokens.cached)),
                column::cache_written_tokens.eq(whole(row.tokens.cache_written)),
                column::completion_tokens.eq(whole(row.tokens.completion)),
                column::reasoning_tokens.eq(whole(row.tokens.reasoning)),
                column::estimated.eq(row.estimated),
                column::from_cache.eq(row.from_cache),
                column::cost_picos.eq(whole(row.cost.picos())),
                column::latency_ms.eq(whole(row.latency_ms)),
            );
            diesel::insert_into(usage_ledger::table).values(values).execute(conn)?;
        }
        Ok(())
    }
}

/// SQLite's integers have a sign.
fn whole(number: u64) -> i64 {
    number.min(i64::MAX as u64) as i64
}
