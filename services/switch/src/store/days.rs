//! What each day's rows come to, for each key and model: added up in the transaction that writes the rows, so that a
//! month is read in as many steps as it has days, however many requests were made in it. A caller may think of as many
//! models as it has requests; beyond [`MOST_MODELS`] a day they are added up together.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;
use vx11_store::{Connection, insert};

use super::ledger::{LedgerRow, whole};
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

/// Adds `rows` to the sums of their days, with one statement a group.
pub(super) fn add(conn: &mut Connection, rows: &[LedgerRow]) -> QueryResult<()> {
    let mut groups: BTreeMap<Group<'_>, DaySum<'_>> = BTreeMap::new();
    for row in rows {
        let day = row.at_ms.div_euclid(DAY_MS);
        let group = Group { day, key: &row.key, org: &row.org, team: &row.team, model: &row.model };
        groups.entry(group).or_insert_with(|| DaySum::nothing(group)).add(row);
    }
    groups.into_values().try_for_each(|mut sum| {
        if !sum.has_room(conn)? {
            sum.model = OTHER_MODELS;
        }
        sum.execute(conn).map(drop)
    })
}

/// How many models besides the one of a sum have sums in the same group; of those that have, no more are looked at than
/// there may be. A fixed text, which is prepared once: `sql_query` is prepared each time, and planned again for a bound
/// `LIMIT`.
struct OtherModels<'a>(&'a DaySum<'a>);

impl QueryId for OtherModels<'_> {
    type QueryId = OtherModels<'static>;
}

impl Query for OtherModels<'_> {
    type SqlType = BigInt;
}

impl RunQueryDsl<Connection> for OtherModels<'_> {}

impl QueryFragment<Sqlite> for OtherModels<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let sum = self.0;
        out.push_sql("SELECT COUNT(*) FROM (SELECT 1 FROM usage_days WHERE day = ");
        out.push_bind_param::<Text, _>(&sum.day)?;
        out.push_sql(" AND api_key = ");
        out.push_bind_param::<Text, _>(sum.api_key)?;
        out.push_sql(" AND org = ");
        out.push_bind_param::<Text, _>(sum.org)?;
        out.push_sql(" AND team = ");
        out.push_bind_param::<Text, _>(sum.team)?;
        out.push_sql(" AND model NOT IN (");
        out.push_bind_param::<Text, _>(sum.model)?;
        out.push_sql(&format!(", '{OTHER_MODELS}') LIMIT {MOST_MODELS})"));
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
       requests = requests + excluded.requests,
       prompt_tokens = prompt_tokens + excluded.prompt_tokens,
       cached_tokens = cached_tokens + excluded.cached_tokens,
       cache_written_tokens = cache_written_tokens + excluded.cache_written_tokens,
       completion_tokens = completion_tokens + excluded.completion_tokens,
       reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens,
       estimated = estimated + excluded.estimated,
       from_cache = from_cache + excluded.from_cache,
       cost_high = cost_high + excluded.cost_high,
       cost_low = cost_low + excluded.cost_low"
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

    /// Whether the model has, or may have, sums of its own.
    fn has_room(&self, conn: &mut Connection) -> QueryResult<bool> {
        Ok(OtherModels(self).get_result::<i64>(conn)? < MOST_MODELS)
    }

    fn add(&mut self, row: &LedgerRow) {
        let add = |sum: &mut i64, more: u64| *sum = sum.saturating_add(whole(more));
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
}
