use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection as Connection;
use diesel_migrations::MigrationHarness;
use vx11_store::Sink;
use vx11_testing_servers::Postgres;

use super::*;
use crate::accounts::{Tokens, Usd};

/// Runs `suite` on a new database.
fn on(url: Option<String>, suite: fn(&mut AnyConnection)) {
    let dir = tempfile::tempdir().expect("a directory");
    let url = url.map(|url| DatabaseUrl(secrecy::SecretString::from(url)));
    let config = DatabaseConfig {
        pool_timeout: Duration::from_secs(20),
        run_timeout: Duration::from_secs(60),
        ..DatabaseConfig::new(url, "switch", dir.path().join("switch.sqlite3"))
    };
    let database = Database::open(config, MIGRATIONS).expect("a new database");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let run = move |conn: &mut AnyConnection| {
        suite(conn);
        Ok::<_, StoreError>(())
    };
    runtime.block_on(database.write(Scope::Platform, run)).expect("the suite");
}

/// Each of these on SQLite and on a real PostgreSQL.
macro_rules! on_both {
    ($($suite:ident)*) => {
        mod sqlite {
            $(#[test]
            fn $suite() {
                super::on(None, super::$suite);
            })*
        }
        mod postgres {
            $(#[test]
            fn $suite() {
                super::on(Some(super::Postgres::shared().new_database()), super::$suite);
            })*
        }
    };
}
on_both! {
    whole_days_are_read_from_their_sums_and_times_within_a_day_from_rows
    days_that_are_no_longer_kept_count_for_a_budget_without_an_end
    a_caller_that_thinks_of_models_fills_no_more_than_its_part_of_a_day
    numbers_that_have_no_whole_sum_are_no_error
}

#[test]
fn what_one_payer_has_spent_is_found_by_an_index() {
    on(None, spent_is_found_by_an_index);
}

#[test]
fn what_the_ledger_held_is_kept_there_and_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("switch.sqlite3");
    let conn = &mut Connection::establish(path.to_str().expect("UTF-8")).expect("a connection");
    conn.run_pending_migrations(MIGRATIONS.sqlite).expect("the schema");
    for _ in ["by_payer", "interventions", "before", "days", "ids"] {
        conn.revert_last_migration(MIGRATIONS.sqlite).expect("the schema of before");
    }
    conn.batch_execute(
        "INSERT INTO usage_ledger VALUES
         (5, '2026-11-21T00:00:00.000Z', 'c', 'o', 't', 'k', 'm', 'p', 'pm', 1, 2, 3, 4, TRUE, 6000001, 7, FALSE, 8)",
    )
    .expect("a row");
    let ask = |from, to| {
        let conn = Connection::establish(path.to_str().expect("UTF-8")).expect("a connection");
        usage::usage(&mut AnyConnection::Sqlite(conn), Grouping::Key, from, to).expect("sums")
    };
    conn.run_pending_migrations(MIGRATIONS.sqlite).expect("the schema");
    let before = ask(None, None);
    let sum = &before[0];
    assert_eq!((&*sum.group, sum.requests, sum.cost_picos, sum.cache_written_tokens), ("k", 1, 6_000_001, 8));
    assert_eq!(ask(Some("2026-11-21T00:00:00.000Z"), Some("2026-11-21T23:00:00.000Z")), before);
    for _ in ["by_payer", "interventions", "before", "days", "ids"] {
        conn.revert_last_migration(MIGRATIONS.sqlite).expect("the schema of before");
    }
    conn.run_pending_migrations(MIGRATIONS.sqlite).expect("the schema");
    assert_eq!(ask(None, None), before);
}

fn row(at: &str, key: &str, picos: u64) -> LedgerRow {
    let at: jiff::Timestamp = at.parse().expect("a time");
    LedgerRow {
        at_ms: at.as_millisecond(),
        correlation_id: "c".into(),
        org: "o".into(),
        team: "t".into(),
        key: key.into(),
        model: "m".into(),
        provider: "p".into(),
        provider_model: "pm".into(),
        tokens: Tokens { prompt: 3, completion: 2, ..Tokens::default() },
        estimated: true,
        from_cache: false,
        intervention: None,
        cost: Usd::from_picos(picos),
        latency_ms: 1,
    }
}

fn whole_days_are_read_from_their_sums_and_times_within_a_day_from_rows(conn: &mut AnyConnection) {
    let write = |conn: &mut AnyConnection, rows: &[LedgerRow]| ledger::LedgerSink.apply(conn, rows).expect("written");
    let rows = [
        row("2026-10-31T23:59:59.999Z", "a", 1),
        row("2026-11-01T00:00:00Z", "a", u64::MAX / 2),
        row("2026-11-01T00:00:00Z", "b", 10),
        row("2026-11-21T12:00:00Z", "a", u64::MAX / 2),
    ];
    write(conn, &rows);
    write(conn, &rows[3..]);
    let spent = |conn: &mut AnyConnection, from: &str| -> Vec<(String, u64, u64, u128)> {
        let spendings = usage::spent_since(conn, from, &Payer::Everybody).expect("sums").into_iter();
        spendings.map(|spent| (spent.key, spent.requests, spent.tokens, spent.cost_picos)).collect()
    };
    let of = |key: &str, requests: u64, picos: u128| (key.to_owned(), requests, 5 * requests, picos);
    let half = u128::from(u64::MAX / 2);
    let noon = "2026-11-21T12:00:00.000Z";
    assert_eq!(spent(conn, noon), [of("a", 2, 2 * half)], "more than one sum of SQLite's can be");
    // The sums of whole days need no rows.
    conn.batch_execute("DELETE FROM usage_ledger").expect("deleted");
    assert_eq!(spent(conn, "2026-11-01T00:00:00.000Z"), [of("a", 3, 3 * half), of("b", 1, 10)]);
    assert_eq!(spent(conn, "1970-01-01T00:00:00.000Z"), [of("a", 4, 3 * half + 1), of("b", 1, 10)]);
    let days = usage::usage(conn, Grouping::Day, None, Some("2026-11-21T00:00:00.000Z")).expect("sums");
    let days: Vec<(&str, u64)> = days.iter().map(|day| (&*day.group, day.requests)).collect();
    assert_eq!(days, [("2026-10-31", 1), ("2026-11-01", 2)]);
}

fn days_that_are_no_longer_kept_count_for_a_budget_without_an_end(conn: &mut AnyConnection) {
    let rows = [
        row("2024-01-01T00:00:00Z", "a", 1),
        row("2024-01-02T00:00:00Z", "a", 20),
        row("2026-11-01T00:00:00Z", "a", 300),
    ];
    ledger::LedgerSink.apply(conn, &rows).expect("written");
    let spent = |conn: &mut AnyConnection, from: i64| {
        let spendings = usage::spent_since(conn, &rfc3339(from), &Payer::Everybody).expect("sums");
        spendings
            .into_iter()
            .map(|spent| (spent.key, spent.requests, spent.tokens, spent.cost_picos))
            .collect::<Vec<_>>()
    };
    let all = [("a".to_owned(), 3, 15, 321)];
    assert_eq!(spent(conn, 0), all);
    conn.batch_execute("DELETE FROM usage_ledger; DELETE FROM usage_days WHERE day < '2025'").expect("deleted");
    assert_eq!(spent(conn, 0), all);
    assert_eq!(spent(conn, 1), [("a".to_owned(), 1, 5, 300)], "no other budget counts them");
    let kept = usage::usage(conn, Grouping::Day, None, None).expect("sums");
    assert_eq!(kept.len(), 1, "usage is told of the days that are kept");
}

#[test]
fn sums_are_kept_for_as_long_as_a_month_whatever_is_configured() {
    let days = |configured: &[(&str, u32)]| {
        let configured = configured.iter().map(|(table, days)| ((*table).to_owned(), *days)).collect();
        retention_rules(&configured).into_iter().map(|rule| rule.days).collect::<Vec<_>>()
    };
    assert_eq!(days(&[]), [90, 800]);
    assert_eq!(days(&[("usage_ledger", 1), ("usage_days", 7)]), [1, 32]);
    assert_eq!(days(&[("usage_ledger", 900)]), [900, 900]);
}

fn a_caller_that_thinks_of_models_fills_no_more_than_its_part_of_a_day(conn: &mut AnyConnection) {
    let of = |at: &str, key: &str, model: String| LedgerRow { model: model.into(), ..row(at, key, 1) };
    let (first, next) = ("2026-11-20T01:00:00Z", "2026-11-21T01:00:00Z");
    let mut rows: Vec<LedgerRow> = (0..300).map(|number| of(first, "a", format!("made-up-{number:03}"))).collect();
    rows.extend([of(first, "b", "another".to_owned()), of(next, "a", "later".to_owned())]);
    ledger::LedgerSink.apply(conn, &rows[..200]).expect("written");
    ledger::LedgerSink.apply(conn, &rows[200..]).expect("written");
    ledger::LedgerSink.apply(conn, &rows[..1]).expect("written");
    let sums = usage::usage(conn, Grouping::Model, None, None).expect("sums");
    let requests = |model: &str| sums.iter().find(|sum| sum.group == model).map(|sum| sum.requests);
    assert_eq!(sums.len(), 256 + 3, "two are of others, one is of the rest");
    assert_eq!(
        ["made-up-000", "made-up-255", "made-up-256", "other", "another", "later"].map(requests),
        [Some(2), Some(1), None, Some(44), Some(1), Some(1)]
    );
}

fn numbers_that_have_no_whole_sum_are_no_error(conn: &mut AnyConnection) {
    let absurd = Tokens { completion: i64::MAX as u64, ..Tokens::default() };
    let rows =
        ["2026-11-20T01:00:00Z", "2026-11-21T01:00:00Z"].map(|at| LedgerRow { tokens: absurd, ..row(at, "k", 7) });
    for row in rows {
        ledger::LedgerSink.apply(conn, &[row]).expect("written");
    }
    let sums = usage::usage(conn, Grouping::Key, None, None).expect("sums");
    assert_eq!((sums[0].requests, sums[0].cost_picos), (2, 14));
    let spent = usage::spent_since(conn, "", &Payer::Everybody).expect("sums");
    assert_eq!((spent[0].requests, spent[0].cost_picos), (2, 14));
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

fn spent_is_found_by_an_index(conn: &mut AnyConnection) {
    let of = |key: &str, org: &str, at: &str| LedgerRow { org: org.into(), ..row(at, key, 1) };
    let (old, new) = ("2024-01-01T00:00:00Z", "2026-11-21T12:00:30Z");
    let rows = [of("a", "one", old), of("a", "one", new), of("b", "one", new), of("c", "two", new)];
    ledger::LedgerSink.apply(conn, &rows).expect("written");
    conn.batch_execute("DELETE FROM usage_days WHERE day < '2025'").expect("deleted");
    let mut found = |from: &str, payer: &Payer| {
        let steps = format!("EXPLAIN QUERY PLAN {}", usage::spent_query(conn, from, payer));
        let AnyConnection::Sqlite(sqlite) = &mut *conn else { unreachable!("it is asked for SQLite's plan") };
        let steps: Vec<Step> = diesel::sql_query(steps).load(sqlite).expect("a plan");
        let scan = steps.iter().find(|step| step.detail.starts_with("SCAN usage_"));
        assert_eq!(scan.map(|scan| &*scan.detail), None, "{payer:?} from {from}");
        let days = steps.iter().find(|step| step.detail.starts_with("SEARCH usage_days")).expect("days are read");
        let index = match payer {
            Payer::Org(_) => "INDEX usage_days_by_org (org=? AND day>? AND day<?)",
            _ => "INDEX usage_days_by_key (api_key=? AND day>? AND day<?)",
        };
        assert!(days.detail.ends_with(index), "{}", days.detail);
        let spendings = usage::spent_since(conn, from, payer).expect("sums").into_iter();
        spendings.map(|spent| (spent.key, spent.requests)).collect::<Vec<_>>()
    };
    let (one, a) = (Payer::Org("one".to_owned()), Payer::Key("a".to_owned()));
    let (ever, month, minute) = ("1970-01-01T00:00:00.000Z", "2026-11-01T00:00:00.000Z", "2026-11-21T12:00:00.000Z");
    let counted = |keys: &[(&str, u64)]| keys.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect::<Vec<_>>();
    assert_eq!(found(ever, &one), counted(&[("a", 2), ("b", 1)]));
    assert_eq!(found(ever, &a), counted(&[("a", 2)]));
    for from in [month, minute] {
        assert_eq!((found(from, &one), found(from, &a)), (counted(&[("a", 1), ("b", 1)]), counted(&[("a", 1)])));
    }
}
