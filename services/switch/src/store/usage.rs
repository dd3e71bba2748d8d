//! Sums over the ledger. Costs are summed in two parts, because SQLite's sums end at nine million dollars.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use jiff::Timestamp;
use vx11_store::Connection;

/// Where the two parts of a cost are cut.
const PART: u128 = 1_000_000;

/// What rows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    Key,
    Org,
    Model,
    /// Of UTC.
    Day,
}

impl Grouping {
    /// The grouping of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Key, Self::Org, Self::Model, Self::Day].into_iter().find(|by| by.as_str() == name)
    }

    /// Its name on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Org => "org",
            Self::Model => "model",
            Self::Day => "day",
        }
    }

    const fn expression(self) -> &'static str {
        match self {
            Self::Key => "api_key",
            Self::Org => "org",
            Self::Model => "model",
            Self::Day => "substr(timestamp, 1, 10)",
        }
    }
}

/// The sums of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageSum {
    pub(crate) group: String,
    pub(crate) requests: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) cached_tokens: u64,
    pub(crate) cache_written_tokens: u64,
    pub(crate) completion_tokens: u64,
    pub(crate) reasoning_tokens: u64,
    pub(crate) estimated_requests: u64,
    pub(crate) cache_hits: u64,
    pub(crate) cost_picos: u128,
}

/// What one key has spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spending {
    pub(crate) org: String,
    pub(crate) team: String,
    pub(crate) key: String,
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
    pub(crate) cost_picos: u128,
}

#[derive(QueryableByName)]
struct SumRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    prompt: i64,
    #[diesel(sql_type = BigInt)]
    cached: i64,
    #[diesel(sql_type = BigInt)]
    cache_written: i64,
    #[diesel(sql_type = BigInt)]
    completion: i64,
    #[diesel(sql_type = BigInt)]
    reasoning: i64,
    #[diesel(sql_type = BigInt)]
    estimates: i64,
    #[diesel(sql_type = BigInt)]
    hits: i64,
    #[diesel(sql_type = BigInt)]
    cost_high: i64,
    #[diesel(sql_type = BigInt)]
    cost_low: i64,
}

#[derive(QueryableByName)]
struct SpendingRow {
    #[diesel(sql_type = Text)]
    org: String,
    #[diesel(sql_type = Text)]
    team: String,
    #[diesel(sql_type = Text)]
    api_key: String,
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    tokens: i64,
    #[diesel(sql_type = BigInt)]
    cost_high: i64,
    #[diesel(sql_type = BigInt)]
    cost_low: i64,
}

/// Sums by group, of rows from `from` on and before `to`; both as [`rfc3339`] writes times.
pub(super) fn usage(
    conn: &mut Connection,
    by: Grouping,
    from: Option<&str>,
    to: Option<&str>,
) -> QueryResult<Vec<UsageSum>> {
    let query = format!(
        "SELECT {group} AS name, COUNT(*) AS requests, SUM(prompt_tokens) AS prompt, SUM(cached_tokens) AS cached,
                SUM(cache_written_tokens) AS cache_written,
                SUM(completion_tokens) AS completion, SUM(reasoning_tokens) AS reasoning, SUM(estimated) AS estimates, SUM(from_cache) AS hits,
                SUM(cost_picos / {PART}) AS cost_high, SUM(cost_picos % {PART}) AS cost_low
         FROM usage_ledger
         WHERE timestamp >= COALESCE(?, '') AND timestamp < COALESCE(?, '~')
         GROUP BY 1 ORDER BY 1",
        group = by.expression(),
    );
    let rows: Vec<SumRow> =
        diesel::sql_query(query).bind::<Nullable<Text>, _>(from).bind::<Nullable<Text>, _>(to).load(conn)?;
    let sum = |row: SumRow| UsageSum {
        group: row.name,
        requests: count(row.requests),
        prompt_tokens: count(row.prompt),
        cached_tokens: count(row.cached),
        cache_written_tokens: count(row.cache_written),
        completion_tokens: count(row.completion),
        reasoning_tokens: count(row.reasoning),
        estimated_requests: count(row.estimates),
        cache_hits: count(row.hits),
        cost_picos: joined(row.cost_high, row.cost_low),
    };
    Ok(rows.into_iter().map(sum).collect())
}

/// What every key has spent from `from` on.
pub(super) fn spent_since(conn: &mut Connection, from: &str) -> QueryResult<Vec<Spending>> {
    let query = format!(
        "SELECT org, team, api_key, COUNT(*) AS requests, SUM(prompt_tokens + completion_tokens) AS tokens,
                SUM(cost_picos / {PART}) AS cost_high, SUM(cost_picos % {PART}) AS cost_low
         FROM usage_ledger WHERE timestamp >= ? GROUP BY org, team, api_key"
    );
    let rows: Vec<SpendingRow> = diesel::sql_query(query).bind::<Text, _>(from).load(conn)?;
    let spending = |row: SpendingRow| Spending {
        org: row.org,
        team: row.team,
        key: row.api_key,
        requests: count(row.requests),
        tokens: count(row.tokens),
        cost_picos: joined(row.cost_high, row.cost_low),
    };
    Ok(rows.into_iter().map(spending).collect())
}

/// A time as the ledger has it: texts of one length, so that they sort as times do.
pub(crate) fn rfc3339(at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    vx11_contracts::time::render(at)
}

fn count(number: i64) -> u64 {
    number.try_into().unwrap_or_default()
}

fn joined(high: i64, low: i64) -> u128 {
    u128::from(count(high)) * PART + u128::from(count(low))
}
