//! What each day's rows come to, for each key and model: added up in the transaction that writes the rows, so that a
//! month is read in as many steps as it has days, however many requests were made in it. A caller may think of as many
//! models as it has requests; beyond [`MOST_MODELS`] a day they are added up together.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Text, Untyped};
use diesel::sqlite::Sqlite;
use vx11_store::{AnyConnection, insert};

use super::ledger::{LedgerRow, tokens, whole};
use super::usage::{DAY, PART, rfc3339};

/// Most models that a key has sums of their own for in a day.
const MOST_MODELS: i64 = 256;
/// What the models beyond that go by.
const OTHER_MODELS: &str = "other";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Whose rows of which day: what has sums of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    /// Since 1970.
    day: i64,
    key: &'a str,
    org: &'a str,
    team: &'a str,
    model: &'a str,
}

/// Adds `rows` to the sums of their days.
pub(super) fn add(conn: &mut AnyConnection, rows: &[LedgerRow]) -> QueryResult<()> {
    let mut sums: BTreeMap<Group<'_>, DaySum<'_>> = BTreeMap::new();
    for row in rows {
        let day = row.at_ms.div_euclid(DAY_MS);
        let group = Group { day, key: &row.key, org: &row.org, team: &row.team, model: &row.model };
        sums.entry(group).or_insert_with(|| DaySum::nothing(group)).add(row);
    }
    let known = known(conn, sums.values())?;
    // The models of one key follow each other, and those of the rest are added up together.
    let mut new: BTreeMap<Group<'_>, i64> = BTreeMap::new();
    let mut kept: BTreeMap<Group<'_>, DaySum<'_>> = BTreeMap::new();
    for ((group, sum), Known { is_there, others }) in sums.into_iter().zip(known) {
        let new = new.entry(Group { model: "", ..group }).or_default();
        let has_room = is_there || group.model == OTHER_MODELS || others + *new < MOST_MODELS;
        *new += i64::from(has_room && !is_there && group.model != OTHER_MODELS);
        let group = if has_room { group } else { Group { model: OTHER_MODELS, ..group } };
        kept.entry(group).or_insert_with(|| DaySum::nothing(group)).add_sum(&sum);
    }
    DaySum::insert(conn, &kept.values().collect::<Vec<_>>())
}

/// What a day has already.
#[derive(QueryableByName)]
struct Known {
    /// Sums of this model.
    #[diesel(sql_type = Bool)]
    is_there: bool,
    /// Models of the same key that have sums; no more are counted than there may be.
    #[diesel(sql_type = BigInt)]
    others: i64,
}

/// What is known of each of `sums`, in their order.
fn known<'s>(conn: &mut AnyConnection, sums: impl ExactSizeIterator<Item = &'s DaySum<'s>>) -> QueryResult<Vec<Known>> {
    match conn {
        AnyConnection::Sqlite(conn) => sums.map(|sum| KnownOf(sum).get_result(conn)).collect(),
        AnyConnection::Postgres(conn) => {
            let sums: Vec<&DaySum<'_>> = sums.collect();
            let column = |of: fn(&'s DaySum<'s>) -> &'s str| sums.iter().map(|sum| of(sum)).collect::<Vec<_>>();
            let query = format!(
                "SELECT EXISTS (SELECT 1 FROM usage_days d WHERE d.day = g.day AND d.api_key = g.api_key
                     AND d.org = g.org AND d.team = g.team AND d.model = g.model) AS is_there,
                 (SELECT count(*) FROM (SELECT 1 FROM usage_days d WHERE d.day = g.day AND d.api_key = g.api_key
                     AND d.org = g.org AND d.team = g.team AND d.model <> '{OTHER_MODELS}' LIMIT {MOST_MODELS}) o)
                     AS others
                 FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY g (day, api_key, org, team, model, place)
                 ORDER BY g.place"
            );
            let query = diesel::sql_query(query).bind::<Array<Text>, _>(column(|sum| &sum.day));
            let query = query.bind::<Array<Text>, _>(column(|sum| sum.api_key));
            let query = query.bind::<Array<Text>, _>(column(|sum| sum.org));
            let query = query.bind::<Array<Text>, _>(column(|sum| sum.team));
            query.bind::<Array<Text>, _>(column(|sum| sum.model)).load(conn)
        }
    }
}

/// The same of one, for SQLite. A fixed text, which is prepared once: `sql_query` is prepared each time, and planned again for
/// a bound `LIMIT`.
struct KnownOf<'a>(&'a DaySum<'a>);

impl QueryId for KnownOf<'_> {
    type QueryId = KnownOf<'static>;
}

impl Query for KnownOf<'_> {
    type SqlType = Untyped;
}

impl<C> RunQueryDsl<C> for KnownOf<'_> {}

impl KnownOf<'_> {
    /// Whose sums are looked for.
    fn whose<'b>(&'b self, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(" FROM usage_days WHERE day = ");
        out.push_bind_param::<Text, _>(&self.0.day)?;
        out.push_sql(" AND api_key = ");
        out.push_bind_param::<Text, _>(self.0.api_key)?;
        out.push_sql(" AND org = ");
        out.push_bind_param::<Text, _>(self.0.org)?;
        out.push_sql(" AND team = ");
        out.push_bind_param::<Text, _>(self.0.team)
    }
}

impl QueryFragment<Sqlite> for KnownOf<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT EXISTS (SELECT 1");
        self.whose(&mut out)?;
        out.push_sql(" AND model = ");
        out.push_bind_param::<Text, _>(self.0.model)?;
        out.push_sql(") AS is_there, (SELECT count(*) FROM (SELECT 1");
        self.whose(&mut out)?;
        out.push_sql(&format!(" AND model <> '{OTHER_MODELS}' LIMIT {MOST_MODELS})) AS others"));
        Ok(())
    }
}

/// What is added to a day.
struct DaySum<'a> {
    day: String,
    api_key: &'a str,
    org: &'a str,
    team: &'a str,
    model: &'a str,
    requests: i64,
    prompt_tokens: i64,
    cached_tokens: i64,
    cache_written_tokens: i64,
    completion_tokens: i64,
    reasoning_tokens: i64,
    estimated: i64,
    from_cache: i64,
    cost_high: i64,
    cost_low: i64,
}
insert! {
    DaySum<'_> into usage_days {
        day: Text,
        api_key: Text,
        org: Text,
        team: Text,
        model: Text,
        requests: BigInt,
        prompt_tokens: BigInt,
        cached_tokens: BigInt,
        cache_written_tokens: BigInt,
        completion_tokens: BigInt,
        reasoning_tokens: BigInt,
        estimated: BigInt,
        from_cache: BigInt,
        cost_high: BigInt,
        cost_low: BigInt,
    } "ON CONFLICT (day, api_key, org, team, model) DO UPDATE SET
       requests = usage_days.requests + excluded.requests,
       prompt_tokens = usage_days.prompt_tokens + excluded.prompt_tokens,
       cached_tokens = usage_days.cached_tokens + excluded.cached_tokens,
       cache_written_tokens = usage_days.cache_written_tokens + excluded.cache_written_tokens,
       completion_tokens = usage_days.completion_tokens + excluded.completion_tokens,
       reasoning_tokens = usage_days.reasoning_tokens + excluded.reasoning_tokens,
       estimated = usage_days.estimated + excluded.estimated,
       from_cache = usage_days.from_cache + excluded.from_cache,
       cost_high = usage_days.cost_high + excluded.cost_high,
       cost_low = usage_days.cost_low + excluded.cost_low"
}

impl<'a> DaySum<'a> {
    fn nothing(group: Group<'a>) -> Self {
        let mut day = rfc3339(group.day.saturating_mul(DAY_MS));
        day.truncate(DAY);
        Self {
            day,
            api_key: group.key,
            org: group.org,
            team: group.team,
            model: group.model,
            requests: 0,
            prompt_tokens: 0,
            cached_tokens: 0,
            cache_written_tokens: 0,
            completion_tokens: 0,
            reasoning_tokens: 0,
            estimated: 0,
            from_cache: 0,
            cost_high: 0,
            cost_low: 0,
        }
    }

    fn add(&mut self, row: &LedgerRow) {
        let add = |sum: &mut i64, more: u64| *sum = sum.saturating_add(tokens(more));
        self.requests += 1;
        add(&mut self.prompt_tokens, row.tokens.prompt);
        add(&mut self.cached_tokens, row.tokens.cached);
        add(&mut self.cache_written_tokens, row.tokens.cache_written);
        add(&mut self.completion_tokens, row.tokens.completion);
        add(&mut self.reasoning_tokens, row.tokens.reasoning);
        self.estimated += i64::from(row.estimated);
        self.from_cache += i64::from(row.from_cache);
        let cost = whole(row.cost.picos());
        self.cost_high += cost / PART;
        self.cost_low += cost % PART;
    }

    fn add_sum(&mut self, other: &Self) {
        self.requests += other.requests;
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.cache_written_tokens = self.cache_written_tokens.saturating_add(other.cache_written_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(other.reasoning_tokens);
        self.estimated += other.estimated;
        self.from_cache += other.from_cache;
        self.cost_high = self.cost_high.saturating_add(other.cost_high);
        self.cost_low += other.cost_low;
    }
}
