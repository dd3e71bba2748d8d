//! Stores of several replicas on one real PostgreSQL.

use std::collections::BTreeSet;

use secrecy::SecretString;
use vx11_contracts::operator::PLAN_OUTCOME;
use vx11_store::{DatabaseUrl, WriteError};
use vx11_testing_servers::Postgres;

use super::*;
use crate::control::Control;

/// One replica's store. Blocks.
fn replica(url: &str) -> Store {
    let url = DatabaseUrl(SecretString::from(url.to_owned()));
    let config = DatabaseConfig {
        pool_timeout: Duration::from_secs(20),
        run_timeout: Duration::from_secs(20),
        ..DatabaseConfig::new(Some(url), "operator", "unused")
    };
    let control = Control::open(config).expect("a database");
    Store::open(control.replicated().expect("PostgreSQL")).expect("a store")
}

#[tokio::test]
async fn each_organisation_finds_its_own_on_postgresql() {
    each_finds_its_own(&replica(&Postgres::shared().new_database())).await;
}

#[tokio::test]
async fn what_one_replica_wrote_the_other_reads_and_adds_to() {
    let url = Postgres::shared().new_database();
    let [one, other] = [(); 2].map(|()| replica(&url));
    for (store, message) in [(&one, "first"), (&other, "second"), (&one, "third")] {
        store.writer.write(chat(&OrgId::platform(), message)).await.expect("written");
    }
    for store in [one, other] {
        let own = store.of(&OrgId::platform());
        let session = own.find_session("s").await.expect("an answer").expect("a session");
        assert_eq!(session.turns, 3);
        let exchanges = own.recent_exchanges("s", None, 2).await.expect("exchanges");
        assert_eq!(exchanges.into_iter().map(|(message, _)| message).collect::<Vec<_>>(), ["second", "third"]);
        assert_eq!(own.performance_since(String::new()).await.expect("a sum").total(), 3);
        assert_eq!(store.performance_of_all_since(String::new()).await.expect("a sum").total(), 3);
    }
}

/// Ids are given out before transactions commit, and transactions end in any order; whoever goes on from the last id seen
/// would miss the ones that were committed late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_goes_on_from_the_last_id_misses_none_of_four_replicas_rows() {
    const ROWS: usize = 200;
    let url = Postgres::shared().new_database();
    let replicas = [(); 4].map(|()| replica(&url));
    let reader = replicas[0].clone();
    let reading = tokio::spawn(async move {
        let (mut last, mut seen) = (0, BTreeSet::new());
        while seen.len() < 4 * ROWS {
            for row in reader.actions_of_all_after(last, 7).await.expect("rows") {
                assert!(row.id > last && seen.insert(row.correlation_id), "{} came twice", row.id);
                last = row.id;
            }
        }
        last
    });
    let writing = replicas.iter().enumerate().map(|(number, store)| async move {
        for row in 0..ROWS {
            let row = Record::Action(action(format!("{number}-{row}"), "chat", "chat", "ok"));
            store.writer.write(row).await.expect("written");
        }
    });
    futures_util::future::join_all(writing).await;
    let last = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("all are seen").expect("no panic");
    assert_eq!(replicas[1].newest_action_id().await.expect("an id"), last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_of_a_plan_is_told_once_by_however_many_replicas() {
    let url = Postgres::shared().new_database();
    let replicas = [(); 4].map(|()| replica(&url));
    let outcome = || {
        let Record::Chat(chat) = chat(&OrgId::platform(), "it was approved") else { unreachable!("a chat") };
        let turn = NewTurn { model_used: PLAN_OUTCOME.to_owned(), ..chat.turn.expect("a turn") };
        Record::Outcome(Box::new(OutcomeRecord { turn, action: chat.action }))
    };
    let told = replicas.iter().map(|store| store.writer.write(outcome()));
    for told in futures_util::future::join_all(told).await {
        assert!(matches!(told, Ok(()) | Err(WriteError::Rejected(_))), "{told:?}");
    }
    // Whoever heard that it was rejected tells it again, and hears that it is told.
    for store in &replicas {
        store.writer.write(outcome()).await.expect("told");
    }
    let own = replicas[0].of(&OrgId::platform());
    assert_eq!(own.turns_of_request("c").await.expect("turns").len(), 1);
    assert_eq!(own.actions_after(0, 10).await.expect("rows").len(), 1);
    assert_eq!(own.find_session("s").await.expect("an answer").expect("a session").turns, 1);
}

#[tokio::test]
async fn upkeep_knows_postgresqls_tables_and_ends_old_rows() {
    use vx11_store::upkeep::Upkeep;
    let store = replica(&Postgres::shared().new_database());
    let old = "2020-01-01T00:00:00.000Z";
    for timestamp in [old, old, &time::now()] {
        let row = Action { timestamp: timestamp.to_owned(), ..action("c", "chat", "chat", "ok") };
        store.writer.write(Record::Action(row)).await.expect("written");
    }
    let rules = retention_rules(&std::collections::BTreeMap::new(), None);
    let upkeep = |apply| Upkeep { backups: "unused".into(), rules: rules.clone(), apply };
    let planned = store.database().upkeep(upkeep(false)).await;
    assert_eq!(planned.integrity["state"], "ok");
    assert_eq!(planned.backup_rotation["status"], "elsewhere");
    assert_eq!(planned.counts["copilot_actions_log"], 3);
    assert!(planned.size_bytes > 0);
    let tables = planned.schema.as_array().expect("tables");
    let turns = tables.iter().find(|table| table["table"] == "turns").expect("turns");
    assert_eq!(turns["columns"][0]["name"], "id");
    assert_eq!(turns["columns"][0]["primary_key"], true);
    assert!(turns["indexes"].as_array().expect("indexes").iter().any(|index| index["name"] == "turns_by_session"));
    let trail = |report: &vx11_store::upkeep::StoreReport| report.retention["tables"][0].clone();
    assert_eq!((&trail(&planned)["rows"], &trail(&planned)["error"]), (&2.into(), &serde_json::Value::Null));
    let applied = store.database().upkeep(upkeep(true)).await;
    assert_eq!(trail(&applied)["rows"], 2);
    assert_eq!(store.of(&OrgId::platform()).actions_after(0, 10).await.expect("rows").len(), 1);
}

#[tokio::test]
async fn a_log_has_a_partition_a_day_and_old_days_go_whole() {
    let store = replica(&Postgres::shared().new_database());
    let execute = async |sql: &'static str| {
        let run = move |conn: &mut AnyConnection| Ok::<_, StoreError>(conn.batch_execute(sql)?);
        store.database().write(Scope::Platform, run).await.expect(sql);
    };
    let write = async |timestamp: &str| {
        let row = Action { timestamp: timestamp.to_owned(), ..action("c", "chat", "chat", "ok") };
        store.writer.write(Record::Action(row)).await.expect("written");
    };
    let partitions = async || {
        let names = |conn: &mut AnyConnection| {
            let AnyConnection::Postgres(conn) = conn else { unreachable!("it is PostgreSQL") };
            let names = "SELECT relid::text || CASE WHEN EXISTS (SELECT FROM copilot_actions_log l WHERE l.tableoid = relid)
                THEN ' has rows' ELSE '' END AS name FROM pg_partition_tree('copilot_actions_log') WHERE isleaf ORDER BY 1";
            let names: Vec<Partition> = diesel::sql_query(names).load(conn)?;
            Ok::<_, StoreError>(names.into_iter().map(|Partition { name }| name).collect::<Vec<_>>())
        };
        store.database().read(Scope::Platform, names).await.expect("names")
    };
    write(&time::now()).await;
    let made = partitions().await;
    assert_eq!(made.len(), 4 + 1, "today, three days ahead, and what fits none: {made:?}");
    assert!(made[0].contains("_d20") && made[0].ends_with(" has rows"), "{made:?}");

    execute("CREATE TABLE copilot_actions_log_d20200102 PARTITION OF copilot_actions_log FOR VALUES FROM ('2020-01-02') TO ('2020-01-03')").await;
    for timestamp in ["2020-01-01T12:00:00.000Z", "2020-01-02T12:00:00.000Z", "2020-01-02T13:00:00.000Z"] {
        write(timestamp).await;
    }
    let rules = retention_rules(&std::collections::BTreeMap::new(), None);
    let ended = store.database().retention(rules, vx11_store::upkeep::RetentionMode::Apply).await.expect("a report");
    assert_eq!((ended.tables[0].rows, &ended.tables[0].error), (3, &None));
    assert_eq!(partitions().await, made, "the old day's is gone");
}

#[derive(QueryableByName)]
struct Partition {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
}
