//! The audit log, on SQLite and on a real PostgreSQL.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::dsl::count_star;
use diesel::prelude::*;
use jiff::{SignedDuration, Timestamp};
use vx11_contracts::audit::{ActorKind, AuditOutcome, AuditRow};
use vx11_contracts::identity::{OrgId, Role};
use vx11_contracts::intervention::Status;
use vx11_contracts::time;
use vx11_identity::audit_chain::{Broken, Flaw, Head, Verified};
use vx11_store::{AnyConnection, Scope, StoreError};
use vx11_testing_servers::Postgres;

use super::super::schema::audit_log;
use super::marks::{STRIDE, first_id_since};
use super::{Conditions, Entry, Proof};
use crate::control::tests::{Home, after, approve, on_both, pilot, start};
use crate::control::{Control, DecideError};
use crate::domain::audit::Origin;
use crate::domain::intervention::Actor;

on_both!(
    what_is_decided_is_in_the_log_with_it,
    without_its_row_nothing_is_decided,
    rows_are_neither_changed_nor_removed,
    whatever_is_done_to_a_row_is_found_and_named,
    an_end_that_was_cut_is_found_by_what_was_noted_of_it,
    a_row_is_there_before_it_is_linked_and_may_not_wait_for_long,
    what_was_written_before_a_crash_is_linked_by_whoever_comes_next,
    a_batch_is_linked_as_a_whole_or_not_at_all,
    a_row_that_is_committed_late_has_a_later_number,
    replicas_that_append_at_once_leave_no_gap_and_no_fork,
    logs_of_organisations_do_not_meet,
    a_row_that_cannot_be_read_hides_no_other_one,
    what_is_linked_during_an_export_is_in_it_once,
    pages_are_filtered,
    a_time_is_found_by_the_marks_beside_it,
);

fn org(id: &str) -> OrgId {
    id.parse().expect("an id")
}

fn entry(number: usize) -> Entry {
    let origin =
        Origin { correlation_id: Some(format!("c{number}")), client: Some("203.0.113.7".to_owned()), org: None };
    let actor = Actor::new(["ann", "key:aB3dE5fG"][number % 2], Role::Admin).from(origin);
    Entry::done(&actor, "key.create", time::render(after(number as i64))).to("key", &format!("k{number}"))
}

impl Home {
    /// Runs `sql` as an intruder would: with the rights of the service.
    async fn execute(&self, sql: impl Into<String>) -> Result<(), StoreError> {
        let sql = sql.into();
        let run = move |conn: &mut AnyConnection| Ok::<_, StoreError>(conn.batch_execute(&sql)?);
        self.control.database.write(Scope::Platform, run).await
    }

    /// Takes the triggers away.
    async fn disarm(&self) {
        let is_remote = self.control.database.name().starts_with("postgres:");
        let sql = match is_remote {
            true => "ALTER TABLE audit_log DISABLE TRIGGER USER; ALTER TABLE audit_heads DISABLE TRIGGER USER",
            false => {
                "DROP TRIGGER audit_log_is_only_linked; DROP TRIGGER audit_log_is_not_deleted;
                 DROP TRIGGER audit_heads_go_on; DROP TRIGGER audit_heads_are_not_deleted"
            }
        };
        self.execute(sql).await.expect("the owner may");
    }

    async fn prove(&self, known: Vec<Head>, now: Timestamp) -> Proof {
        self.control.audit_log(&org("acme")).verify(known, now).await.expect("an answer")
    }

    async fn verify(&self, known: Vec<Head>) -> Result<Verified, Broken> {
        self.prove(known, Timestamp::now()).await.found
    }

    async fn link(&self) {
        while self.control.link_audit().await.expect("an answer") {}
    }

    /// Those that are linked, after what is there was.
    async fn rows(&self, of: &str) -> Vec<AuditRow> {
        self.link().await;
        let rows = self.control.audit_log(&org(of)).rows_from(1, 1000).await.expect("an answer");
        rows.map_or_else(Vec::new, |(_, rows)| rows.into_iter().filter_map(|(_, row)| row).collect())
    }

    async fn append(&self, count: usize) {
        self.write(count).await;
        self.link().await;
    }

    /// Appends without linking.
    async fn write(&self, count: usize) {
        let rows = (0..count).map(entry).collect();
        self.control.audit_log(&org("acme")).append(rows).await.expect("appended");
    }
}

async fn what_is_decided_is_in_the_log_with_it(home: Home) {
    let asked = home.asked("r1").await;
    let origin = Origin { correlation_id: Some("c1".to_owned()), client: Some("203.0.113.7".to_owned()), org: None };
    home.of("acme").decide("r1", approve(&asked), pilot("ann").from(origin), after(1)).await.expect("decided");
    let lost = home.of("acme").decide("r1", approve(&asked), pilot("bob"), after(2)).await;
    assert!(matches!(lost, Err(DecideError::Refused { .. })), "{lost:?}");
    home.asked("r2").await;
    home.control.mark_expired(after(4000)).await.expect("swept");
    let rows = home.rows("acme").await;
    let said =
        |row: &AuditRow| (row.seq.expect("linked"), row.actor.clone(), row.actor_kind, row.action.clone(), row.outcome);
    let expected = [
        (1, "ann".to_owned(), ActorKind::Pilot, "intervention.approve".to_owned(), AuditOutcome::Allowed),
        (2, "system:timeout".to_owned(), ActorKind::System, "intervention.expire".to_owned(), AuditOutcome::Allowed),
    ];
    assert_eq!(rows.iter().map(said).collect::<Vec<_>>(), expected);
    assert_eq!((rows[0].target_id.as_deref(), rows[0].correlation_id.as_deref()), (Some("r1"), Some("c1")));
    assert_eq!((rows[0].client.as_deref(), &rows[0].details["to"]), (Some("203.0.113.7"), &"APPROVED".into()));
    assert_eq!(rows[0].details["asked_by"], "agent-1");
    assert!(rows[0].details["args_digest"].is_string() && rows[0].details["runs"] == "deploy");
    assert_eq!(home.verify(Vec::new()).await.expect("intact").rows, 2);
}

async fn without_its_row_nothing_is_decided(home: Home) {
    let asked = home.asked("r1").await;
    home.execute("ALTER TABLE audit_log RENAME TO gone").await.expect("renamed");
    let failed = home.of("acme").decide("r1", approve(&asked), pilot("ann"), after(1)).await;
    assert!(matches!(failed, Err(DecideError::Store(_))), "{failed:?}");
    let made = home.control.make_org(&org("globex"), "Globex", &pilot("ann"), after(1)).await;
    assert!(made.is_err(), "{made:?}");
    let looked = home.of("acme").look("r1", after(1)).await.expect("an answer").expect("it is there");
    assert_eq!(looked.request.status, Status::Pending);
    home.execute("ALTER TABLE gone RENAME TO audit_log").await.expect("renamed");
    assert!(home.control.make_org(&org("globex"), "Globex", &pilot("ann"), after(1)).await.expect("made").is_some());
}

async fn rows_are_neither_changed_nor_removed(home: Home) {
    home.append(3).await;
    home.write(1).await;
    for sql in [
        "UPDATE audit_log SET actor = 'eve'",
        "DELETE FROM audit_log WHERE seq = 3",
        "UPDATE audit_log SET seq = 4, hash = 'x' WHERE seq = 3",
        "UPDATE audit_log SET seq = NULL, hash = NULL WHERE seq = 3",
        "UPDATE audit_log SET actor = 'eve' WHERE seq IS NULL",
        "UPDATE audit_log SET seq = 4, hash = 'x', client = NULL WHERE seq IS NULL",
        "UPDATE audit_log SET seq = 4, hash = 'x', written_at = at WHERE seq IS NULL",
        "UPDATE audit_log SET seq = 4 WHERE seq IS NULL",
        "UPDATE audit_log SET hash = 'x' WHERE seq IS NULL",
        "DELETE FROM audit_log WHERE seq IS NULL",
        "UPDATE audit_heads SET seq = 1",
        "UPDATE audit_heads SET org_id = 'other', seq = seq + 1",
        "DELETE FROM audit_heads",
    ] {
        let refused = home.execute(sql).await.expect_err(sql).to_string();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    home.link().await;
    assert_eq!(home.verify(Vec::new()).await.expect("intact").rows, 4);
}

/// More than two pages.
const ROWS: usize = 16;

async fn whatever_is_done_to_a_row_is_found_and_named(home: Home) {
    home.append(ROWS).await;
    home.disarm().await;
    home.execute("CREATE TABLE saved AS SELECT * FROM audit_log").await.expect("copied");
    let columns = [
        "at = '2020-01-01T00:00:00.000Z'",
        "actor = 'eve'",
        "actor_kind = 'system'",
        "action = 'key.revoke'",
        "target_kind = NULL",
        "target_id = 'other'",
        "outcome = 'failed'",
        "correlation_id = NULL",
        "client = ''",
        "details = '{}'",
        "hash = 'none'",
        "hash = (SELECT hash FROM saved WHERE seq = 1 + $at % 16)",
    ];
    let last = ROWS as u64;
    for at in 1..=last {
        let broken = |why| Broken { at, why };
        let mut tampers: Vec<(String, Broken)> = Vec::new();
        for column in columns {
            let column = column.replace("$at", &at.to_string());
            tampers.push((format!("UPDATE audit_log SET {column} WHERE seq = {at}"), broken(Flaw::Changed)));
        }
        tampers.push((format!("DELETE FROM audit_log WHERE seq = {at}"), broken(Flaw::Missing)));
        let unlink = format!("UPDATE audit_log SET seq = NULL, hash = NULL WHERE seq = {at}");
        tampers.push((unlink, broken(Flaw::Missing)));
        tampers.push((format!("UPDATE audit_log SET org_id = 'other' WHERE seq = {at}"), broken(Flaw::Missing)));
        // Put in, with those behind it numbered anew.
        let copy = "at, actor, actor_kind, action, target_kind, target_id, outcome, correlation_id, client, details, written_at, hash";
        let make_room = format!(
            "UPDATE audit_log SET seq = -seq - 1 WHERE seq > {at}; UPDATE audit_log SET seq = -seq WHERE seq < 0;"
        );
        let put_in = format!(
            "INSERT INTO audit_log (org_id, seq, {copy}) SELECT org_id, {at} + 1, {copy} FROM saved WHERE seq = {at}"
        );
        let why = if at == last { Flaw::BehindTheEnd } else { Flaw::Changed };
        tampers.push((format!("{make_room} {put_in}"), Broken { at: at + 1, why }));
        if at < last {
            let swap = format!(
                "UPDATE audit_log SET seq = -{at} WHERE seq = {at};
                 UPDATE audit_log SET seq = {at} WHERE seq = {at} + 1;
                 UPDATE audit_log SET seq = {at} + 1 WHERE seq = -{at}"
            );
            tampers.push((swap, broken(Flaw::Changed)));
        }
        for (sql, expected) in tampers {
            home.execute(sql.clone()).await.expect("an intruder may");
            assert_eq!(home.verify(Vec::new()).await, Err(expected), "{sql}");
            let restore = "DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM saved";
            home.execute(restore).await.expect("restored");
        }
    }
    let before = "UPDATE audit_log SET seq = 0 WHERE seq = 1";
    home.execute(before).await.expect("an intruder may");
    assert_eq!(home.verify(Vec::new()).await, Err(Broken { at: 0, why: Flaw::OutOfOrder }));
    home.execute("UPDATE audit_log SET seq = 1 WHERE seq = 0").await.expect("restored");
    assert_eq!(home.verify(Vec::new()).await.expect("intact").rows, last);
}

async fn an_end_that_was_cut_is_found_by_what_was_noted_of_it(home: Home) {
    home.append(9).await;
    let noted = home.verify(Vec::new()).await.expect("intact").head;
    home.append(1).await;
    assert_eq!(home.verify(vec![noted]).await.expect("intact").rows, 10);
    home.disarm().await;
    let cut = |to: u64| {
        format!(
            "DELETE FROM audit_log WHERE seq > {to};
             UPDATE audit_heads SET seq = {to}, hash = (SELECT hash FROM audit_log WHERE seq = {to})"
        )
    };
    home.execute(cut(9)).await.expect("an intruder may");
    assert_eq!(home.verify(vec![noted]).await.expect("what was appended since then").rows, 9);
    home.execute(cut(8)).await.expect("an intruder may");
    assert_eq!(home.verify(Vec::new()).await.expect("a shorter log").rows, 8);
    assert_eq!(home.verify(vec![noted]).await, Err(Broken { at: 9, why: Flaw::Missing }));
    // It goes on, and is another log than the one that was noted.
    home.append(3).await;
    assert_eq!(home.verify(vec![noted]).await, Err(Broken { at: 9, why: Flaw::Changed }));
    home.execute("DELETE FROM audit_log; DELETE FROM audit_heads").await.expect("an intruder may");
    assert_eq!(home.verify(vec![noted]).await, Err(Broken { at: 1, why: Flaw::Missing }));
    assert_eq!(home.verify(Vec::new()).await.expect("an empty log").rows, 0);
}

async fn a_row_is_there_before_it_is_linked_and_may_not_wait_for_long(home: Home) {
    home.append(1).await;
    home.write(2).await;
    let log = home.control.audit_log(&org("acme"));
    let seen = async || {
        let (rows, _) = log.page(Conditions::default(), None, 10).await.expect("an answer");
        rows.into_iter().map(|row| (row.seq, row.hash.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(seen().await, [(None, false), (None, false), (Some(1), true)]);
    let (now, later) = (Timestamp::now(), Timestamp::now() + SignedDuration::from_secs(90));
    let proof = home.prove(Vec::new(), now).await;
    assert_eq!((proof.found.expect("intact").rows, proof.unlinked), (1, 2));
    let proof = home.prove(Vec::new(), later).await;
    assert_eq!((proof.found, proof.unlinked), (Err(Broken { at: 2, why: Flaw::Unlinked }), 2));
    home.link().await;
    assert_eq!(seen().await, [(Some(3), true), (Some(2), true), (Some(1), true)]);
    let proof = home.prove(Vec::new(), later).await;
    assert_eq!((proof.found.expect("intact").rows, proof.unlinked), (3, 0));
}

async fn what_was_written_before_a_crash_is_linked_by_whoever_comes_next(home: Home) {
    home.append(2).await;
    home.write(ROWS).await;
    let home = Arc::new(home);
    let [_, next] = replicas(&home).await;
    while next.link_audit().await.expect("an answer") {}
    let proof = next.audit_log(&org("acme")).verify(Vec::new(), Timestamp::now()).await.expect("an answer");
    assert_eq!((proof.found.expect("intact").rows, proof.unlinked), (2 + ROWS as u64, 0));
}

async fn a_batch_is_linked_as_a_whole_or_not_at_all(home: Home) {
    home.write(9).await;
    home.disarm().await;
    let fields = "at, actor, actor_kind, action, outcome, details, written_at";
    let in_the_way = format!(
        "INSERT INTO audit_log (id, org_id, seq, hash, {fields})
         SELECT 1000, org_id, 5, 'x', {fields} FROM audit_log WHERE id = (SELECT min(id) FROM audit_log)"
    );
    home.execute(in_the_way).await.expect("an intruder may");
    home.control.audit_log(&org("globex")).append(vec![entry(7)]).await.expect("appended");
    assert!(!home.control.link_audit().await.expect("an answer"));
    assert_eq!(home.prove(Vec::new(), Timestamp::now()).await.unlinked, 9);
    assert_eq!(home.rows("globex").await.len(), 1, "another log is not held up");
    home.execute("DELETE FROM audit_log WHERE seq = 5").await.expect("an intruder may");
    assert_eq!(home.rows("acme").await.len(), 9);
    assert_eq!(home.verify(Vec::new()).await.expect("intact").rows, 9);
}

async fn a_row_that_is_committed_late_has_a_later_number(home: Home) {
    home.append(2).await;
    let fields = "org_id, at, actor, actor_kind, action, outcome, details, written_at";
    let late = format!(
        "INSERT INTO audit_log (id, target_id, {fields}) SELECT 0, 'late', {fields} FROM audit_log WHERE seq = 1"
    );
    home.execute(late).await.expect("written");
    let rows = home.rows("acme").await;
    let targets: Vec<_> = rows.iter().map(|row| (row.seq, row.target_id.as_deref())).collect();
    assert_eq!(targets, [(Some(1), Some("k0")), (Some(2), Some("k1")), (Some(3), Some("late"))]);
    assert_eq!(home.verify(Vec::new()).await.expect("intact").rows, 3);
}

/// Two that have the same database.
async fn replicas(home: &Arc<Home>) -> [Control; 2] {
    let other = home.clone();
    let other = tokio::task::spawn_blocking(move || other.replica());
    [home.control.clone(), other.await.expect("opened")]
}

async fn replicas_that_append_at_once_leave_no_gap_and_no_fork(home: Home) {
    let home = Arc::new(home);
    let replicas = replicas(&home).await;
    let linking = replicas.clone().map(|replica| {
        tokio::spawn(async move {
            for _ in 0..30 {
                replica.link_audit().await.expect("an answer");
            }
        })
    });
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let log = replicas[number % 2].audit_log(&org("acme"));
            tokio::spawn(async move { log.append(vec![entry(number), entry(number)]).await.expect("appended") })
        })
        .collect();
    for task in tasks.into_iter().chain(linking) {
        task.await.expect("it ends");
    }
    home.link().await;
    assert_eq!(home.verify(Vec::new()).await.expect("intact").rows, 100);
    let mut targets: Vec<_> = home.rows("acme").await.into_iter().filter_map(|row| row.target_id).collect();
    targets.sort();
    targets.dedup();
    assert_eq!(targets.len(), 50);
}

async fn logs_of_organisations_do_not_meet(home: Home) {
    home.append(3).await;
    home.control.audit_log(&org("globex")).append(vec![entry(7)]).await.expect("appended");
    assert_eq!((home.rows("acme").await.len(), home.rows("globex").await.len()), (3, 1));
    let audited = home.control.audited().await.expect("an answer");
    assert_eq!((audited.orgs, audited.nobodys), ([org("acme"), org("globex")].into(), [].into()));
    // PostgreSQL shows one organisation nothing of another, whatever a query asks for.
    let count = |conn: &mut AnyConnection| Ok::<i64, StoreError>(audit_log::table.select(count_star()).first(conn)?);
    let seen = home.control.database.read(Scope::Org("globex".into()), count).await.expect("an answer");
    let is_remote = home.control.database.name().starts_with("postgres:");
    assert_eq!(seen, if is_remote { 1 } else { 4 });
}

async fn a_row_that_cannot_be_read_hides_no_other_one(home: Home) {
    let insert = async |org: &str, outcome: &str| {
        let sql = format!(
            "INSERT INTO audit_log (org_id, at, actor, actor_kind, action, outcome, details, written_at)
             VALUES ('{org}', 'now', 'eve', 'pilot', 'access', '{outcome}', '{{}}', 'now')"
        );
        home.execute(sql).await.expect("the service may");
    };
    for nobodys in ["", "!"] {
        insert(nobodys, "allowed").await;
    }
    insert("acme", "odd").await;
    home.write(1).await;
    let audited = home.control.audited().await.expect("an answer");
    assert_eq!((audited.orgs, audited.nobodys), ([org("acme")].into(), ["".to_owned(), "!".to_owned()].into()));
    let log = home.control.audit_log(&org("acme"));
    let exported = async || {
        let mut rows = 0;
        let unreadable = log.export(&mut |_| rows += 1).await.expect("an answer");
        (rows, unreadable)
    };
    assert_eq!(exported().await, (1, 1));
    home.link().await;
    assert_eq!(exported().await, (1, 1));
    let audited = home.control.audited().await.expect("an answer");
    assert_eq!(audited.orgs, [org("acme")].into(), "by the heads as by the rows");
    let (last, odd) = log.rows_from(1, 1).await.expect("an answer").expect("a row");
    assert_eq!((last, odd.len(), odd[0].1.is_none()), (1, 1, true));
    assert_eq!(log.rows_from(2, 1).await.expect("an answer").expect("a row").1.len(), 1);
}

async fn what_is_linked_during_an_export_is_in_it_once(home: Home) {
    home.append(3).await;
    home.write(20).await;
    let (mut told, mut is_linked) = (Vec::new(), false);
    let runtime = tokio::runtime::Handle::current();
    let export = home.control.audit_log(&org("acme"));
    let left_out = export
        .export(&mut |row| {
            // Behind the first that waits: all that wait behind its page are linked when they are looked for.
            if row.seq.is_none() && !std::mem::replace(&mut is_linked, true) {
                std::thread::scope(|scope| scope.spawn(|| runtime.block_on(home.link())).join().expect("linked"));
            }
            told.push(row.target_id.expect("a target"));
        })
        .await
        .expect("an answer");
    let mut expected: Vec<_> = (0..3).chain(0..20).map(|number| format!("k{number}")).collect();
    told.sort();
    expected.sort();
    assert_eq!((told, left_out), (expected, 0));
}

async fn pages_are_filtered(home: Home) {
    home.append(10).await;
    let log = home.control.audit_log(&org("acme"));
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let (page, next) = log.page(Conditions::default(), before, 3).await.expect("an answer");
        seen.extend(page.iter().filter_map(|row| row.seq));
        let Some(next) = next else { break };
        before = Some(next);
    }
    assert_eq!(seen, (1..=10).rev().collect::<Vec<_>>());
    let all = Conditions::default();
    for (conditions, found) in [
        (Conditions { actor: Some("ann".to_owned()), ..all.clone() }, vec![9, 7, 5, 3, 1]),
        (Conditions { action: Some("org.create".to_owned()), ..all.clone() }, vec![]),
        (Conditions { target: Some("k3".to_owned()), ..all.clone() }, vec![4]),
        (Conditions { outcome: Some(AuditOutcome::Refused), ..all.clone() }, vec![]),
        (Conditions { since: Some(time::render(after(8))), ..all.clone() }, vec![10, 9]),
        (Conditions { until: Some(time::render(start())), ..all }, vec![]),
    ] {
        let (page, _) = log.page(conditions.clone(), None, 50).await.expect("an answer");
        assert_eq!(page.iter().filter_map(|row| row.seq).collect::<Vec<_>>(), found, "{conditions:?}");
    }
}

async fn a_time_is_found_by_the_marks_beside_it(home: Home) {
    let is_remote = home.control.database.name().starts_with("postgres:");
    // A row each second, but for some that were long in coming.
    let rows = 6 * STRIDE;
    let times = |number: i64| (after(if number % 100 == 0 { number - 90 } else { number }), after(number));
    let values = (1..=rows).map(|number| {
        let ((at, written_at), org) = (times(number), if number % 2 == 0 { "acme" } else { "globex" });
        let (at, written_at) = (time::render(at), time::render(written_at));
        format!("('{org}', '{at}', 'ann', 'pilot', 'a{number}', 'allowed', '{{}}', '{written_at}')")
    });
    let fields = "org_id, at, actor, actor_kind, action, outcome, details, written_at";
    let values = values.collect::<Vec<_>>().join(", ");
    home.execute(format!("INSERT INTO audit_log ({fields}) VALUES {values}")).await.expect("the service may");
    for since in [0, 1, 300, 511, 512, 513, 900, rows - 100, rows - 1, rows, rows + 1] {
        let conditions = Conditions { since: Some(time::render(after(since))), ..Conditions::default() };
        let (page, _) = home.control.audit_log(&org("acme")).page(conditions, None, 10_000).await.expect("an answer");
        let expected = (1..=rows).rev().filter(|number| number % 2 == 0 && times(*number).0 >= after(since));
        let expected: Vec<_> = expected.map(|number| format!("a{number}")).collect();
        assert_eq!(page.into_iter().map(|row| row.action).collect::<Vec<_>>(), expected, "{since}");
        let first = move |conn: &mut AnyConnection| {
            let AnyConnection::Sqlite(conn) = conn else { return Ok(since) };
            Ok::<_, StoreError>(first_id_since(conn, &time::render(after(since)))?)
        };
        let first = home.control.database.read(Scope::Platform, first).await.expect("an answer");
        let near = since.min(rows) - 2 * STRIDE..=since.max(1);
        assert!(is_remote || near.contains(&first), "{since}: from {first} on");
    }
}
