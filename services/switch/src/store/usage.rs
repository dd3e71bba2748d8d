//! Sums over the ledger: whole days from their sums, the part of a day that a time cuts off from the rows. Costs are
//! summed in two parts, because SQLite's sums end at nine million dollars. A sum that has no whole number of 64 bits is an
//! error of the whole query; so SQLite adds up floating-point numbers, exact to nine thousand million million, and
//! PostgreSQL numbers of any length.

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::serialize::ToSql;
use diesel::sql_types::HasSqlType;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;
use jiff::Timestamp;
use vx11_store::AnyConnection;

/// Where the two parts of a cost are cut.
pub(super) const PART: i64 = 1_000_000;
/// Characters of a time that are its day.
pub(super) const DAY: usize = "0000-00-00".len();
/// What follows a day in its first instant.
const MIDNIGHT: &str = "T00:00:00.000Z";
/// Comes after every time, and after a day before every time of the next one.
const END: &str = "~";

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
            Self::Day => "day",
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

/// Whose spending is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payer {
    Everybody,
    Org(String),
    Key(String),
}

impl Payer {
    /// What its rows have in a column of theirs; `None`: all are looked for.
    fn column(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Everybody => None,
            Self::Org(org) => Some(("org", org)),
            Self::Key(key) => Some(("api_key", key)),
        }
    }
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

/// Where a span of time is looked up: days by their names, times within a day by rows. Ends do not belong to it.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    days: [String; 2],
    /// Before the first whole day, and after the last.
    edges: [[String; 2]; 2],
}

impl Parts {
    /// From `from` on and before `to`, as [`rfc3339`] writes times.
    fn of(from: &str, to: &str) -> Self {
        let nothing = || [String::new(), String::new()];
        let (Some((first, after)), Some((last, until))) = (cut(from), cut(to)) else {
            return Self { days: nothing(), edges: [[from.to_owned(), to.to_owned()], nothing()] };
        };
        if from >= to || first == last {
            return Self { days: nothing(), edges: [[from.to_owned(), to.to_owned()], nothing()] };
        }
        let (begin, head) = match after {
            "" | MIDNIGHT => (first.to_owned(), nothing()),
            _ => (format!("{first}{END}"), [from.to_owned(), format!("{first}{END}")]),
        };
        let tail = if matches!(until, "" | MIDNIGHT) { nothing() } else { [last.to_owned(), to.to_owned()] };
        Self { days: [begin, last.to_owned()], edges: [head, tail] }
    }
}

/// A time's day, and the time of that day; a text without a time of day is a bound of all days.
fn cut(time: &str) -> Option<(&str, &str)> {
    if time.is_empty() || time == END { Some((time, "")) } else { time.split_at_checked(DAY) }
}

/// What whole days come to.
const DAYS: &str =
    "SELECT day, api_key, org, team, model, requests, prompt_tokens, cached_tokens, cache_written_tokens,
        completion_tokens, reasoning_tokens, estimated, from_cache, cost_high, cost_low
    FROM usage_days WHERE day >= ?1 AND day < ?2";
/// What rows have of that.
const ROWS: &str = "SELECT substr(timestamp, 1, 10), api_key, org, team, model, 1, prompt_tokens, cached_tokens,
        cache_written_tokens, completion_tokens, reasoning_tokens, CASE WHEN estimated THEN 1 ELSE 0 END, CASE WHEN from_cache THEN 1 ELSE 0 END,
        cost_picos / 1000000, cost_picos % 1000000
    FROM usage_ledger";

/// What days came to that are no longer kept, as a day before all others.
const BEFORE: &str =
    "SELECT '', api_key, org, team, '', requests, prompt_tokens, 0, 0, completion_tokens, 0, 0, 0, cost_high, cost_low
    FROM usage_before";

/// `select` over all that is in `parts`, and with `before` over the days that are no longer kept; of `payer` alone.
fn query(select: &str, group: &str, payer: &Payer, before: bool) -> String {
    // Where rows are read, it is for less than a day: the index by their time is enough there.
    let only = payer.column().map(|(column, _)| format!(" AND {column} = ?7")).unwrap_or_default();
    let more = payer.column().map(|(column, _)| format!(" WHERE {column} = ?7")).unwrap_or_default();
    let more = if before { format!(" UNION ALL {BEFORE}{more}") } else { String::new() };
    let (head, tail) = (rows("?3", "?4"), rows("?5", "?6"));
    let all = format!("{DAYS}{only} UNION ALL {head}{only} UNION ALL {tail}{only}{more}");
    format!("{select} FROM ({all}) AS spans GROUP BY {group} ORDER BY {group}")
}

/// Rows from `from` on and before `to`, under the names of the days' columns.
fn rows(from: &str, to: &str) -> String {
    format!("{ROWS} WHERE timestamp >= {from} AND timestamp < {to}")
}

fn load<R>(conn: &mut AnyConnection, query: &str, parts: &Parts, payer: &Payer) -> QueryResult<Vec<R>>
where
    R: QueryableByName<Sqlite> + QueryableByName<Pg> + 'static,
{
    match conn {
        AnyConnection::Sqlite(conn) => bound(query, parts, payer).load(conn),
        // What SQLite calls `?1` is `$1` here, and nothing else in the query has the character.
        AnyConnection::Postgres(conn) => bound(&query.replace('?', "$"), parts, payer).load(conn),
    }
}

/// What a query is asked with. Where all payers are meant there is no place for one.
fn bound<DB>(query: &str, parts: &Parts, payer: &Payer) -> BoxedSqlQuery<'static, DB, SqlQuery>
where
    DB: Backend + HasSqlType<Text>,
    String: ToSql<Text, DB>,
{
    let Parts { days: [first, last], edges: [[head, head_end], [tail, tail_end]] } = parts;
    let payer = payer.column().map(|(_, name)| name);
    let spans = [first, last, head, head_end, tail, tail_end].map(String::as_str);
    let query = diesel::sql_query(query).into_boxed();
    spans.into_iter().chain(payer).fold(query, |query, bind| query.bind::<Text, _>(bind.to_owned()))
}

/// Sums by group, of rows from `from` on and before `to`; both as [`rfc3339`] writes times.
pub(super) fn usage(
    conn: &mut AnyConnection,
    by: Grouping,
    from: Option<&str>,
    to: Option<&str>,
) -> QueryResult<Vec<UsageSum>> {
    let sums = [
        ("requests", "requests"),
        ("prompt_tokens", "prompt"),
        ("cached_tokens", "cached"),
        ("cache_written_tokens", "cache_written"),
        ("completion_tokens", "completion"),
        ("reasoning_tokens", "reasoning"),
        ("estimated", "estimates"),
        ("from_cache", "hits"),
        ("cost_high", "cost_high"),
        ("cost_low", "cost_low"),
    ];
    let select = format!("SELECT {group} AS name{sums}", group = by.expression(), sums = summed(conn, &sums));
    let query = query(&select, "1", &Payer::Everybody, false);
    let parts = Parts::of(from.unwrap_or_default(), to.unwrap_or(END));
    let rows: Vec<SumRow> = load(conn, &query, &parts, &Payer::Everybody)?;
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

/// What each key of `payer` has spent from `from` on; from the first instant on, that is more than the days that are kept.
pub(super) fn spent_since(conn: &mut AnyConnection, from: &str, payer: &Payer) -> QueryResult<Vec<Spending>> {
    let query = spent_query(conn, from, payer);
    let rows: Vec<SpendingRow> = load(conn, &query, &Parts::of(from, END), payer)?;
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

/// How [`spent_since`] asks.
pub(super) fn spent_query(conn: &AnyConnection, from: &str, payer: &Payer) -> String {
    let sums = [
        ("requests", "requests"),
        ("prompt_tokens + completion_tokens", "tokens"),
        ("cost_high", "cost_high"),
        ("cost_low", "cost_low"),
    ];
    let select = format!("SELECT org, team, api_key{}", summed(conn, &sums));
    query(&select, "1, 2, 3", payer, from <= rfc3339(0).as_str())
}

/// What follows the columns of a group: the sum of each expression, under its name.
fn summed(conn: &AnyConnection, sums: &[(&str, &str)]) -> String {
    let sum = |of: &str| match conn {
        AnyConnection::Sqlite(_) => format!("CAST(TOTAL({of}) AS INTEGER)"),
        AnyConnection::Postgres(_) => format!("LEAST(SUM({of}), {})::bigint", i64::MAX),
    };
    sums.iter().map(|(of, name)| format!(", {} AS {name}", sum(of))).collect()
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
    u128::from(count(high)) * u128::from(count(PART)) + u128::from(count(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_whole_days_and_what_is_left_at_its_edges() {
        let parts = |from, to| {
            let Parts { days: [first, last], edges: [head, tail] } = Parts::of(from, to);
            let span = |[from, to]: [String; 2]| format!("{from} {to}");
            (format!("{first} {last}"), span(head), span(tail))
        };
        let of = |days: &str, head: &str, tail: &str| (days.to_owned(), head.to_owned(), tail.to_owned());
        let (midnight, noon) = ("2026-11-20T00:00:00.000Z", "2026-11-20T12:00:00.000Z");
        let (later, late) = ("2026-11-22T00:00:00.000Z", "2026-11-22T12:00:00.000Z");
        assert_eq!(parts("", END), of(" ~", " ", " "));
        assert_eq!(parts(midnight, later), of("2026-11-20 2026-11-22", " ", " "));
        let (head, tail) = (format!("{noon} 2026-11-20~"), format!("2026-11-22 {late}"));
        assert_eq!(parts(noon, late), of("2026-11-20~ 2026-11-22", &head, &tail));
        assert_eq!(parts(midnight, noon), of(" ", &format!("{midnight} {noon}"), " "), "less than a day");
        assert_eq!(parts(late, midnight), of(" ", &format!("{late} {midnight}"), " "), "nothing is in it");
    }
}
