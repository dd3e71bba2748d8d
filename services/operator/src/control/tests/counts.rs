//! What is counted, added up or not yet.

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use vx11_contracts::intervention::{CancelBody, DecisionBody};
use vx11_store::{AnyConnection, Scope, StoreError};
use vx11_testing_servers::Postgres;

use super::super::Control;
use super::super::schema::intervention_counts;
use super::{Home, after, approve, pilot};
use crate::domain::intervention::Command;

on_both!(
    counts_are_those_of_the_rows,
    what_is_withdrawn_is_nobodys_decision,
    counts_of_nothing_are_removed_with_what_they_counted,
);

async fn counts_are_those_of_the_rows(home: Home) {
    let acme = Arc::new(home.of("acme"));
    for number in 0..30 {
        let kind = ["deploy", "refund", "approval"][number % 3];
        home.asked_with(&format!("r{number}"), |create| create.intervention_type = kind.parse().expect("a type")).await;
    }
    let tasks: Vec<_> = (0..30)
        .map(|number| {
            let acme = acme.clone();
            tokio::spawn(async move {
                let id = format!("r{number}");
                let body = DecisionBody { version: 1, args_digest: None, reason: None };
                let command = match number % 4 {
                    0 => Command::Approve(body),
                    1 => Command::Reject(body),
                    2 => Command::Claim { lease: Duration::from_secs(60) },
                    _ => return,
                };
                acme.decide(&id, command, pilot(&format!("p{}", number % 5)), after(2)).await.expect("decided");
            })
        })
        .collect();
    // Meanwhile others add up, and whoever asks is told of one moment.
    let folding: Vec<_> = (0..2).map(|_| tokio::spawn(fold_for_a_while(home.control.clone()))).collect();
    for task in tasks {
        assert_eq!(acme.metrics().await.expect("an answer").total_interventions, 30);
        task.await.expect("it ends");
    }
    for folding in folding {
        folding.await.expect("it ends");
    }
    let metrics = acme.metrics().await.expect("an answer");
    assert_eq!((metrics.total_interventions, metrics.pending_interventions), (30, 7));
    assert_eq!((metrics.approved_interventions, metrics.rejected_interventions), (8, 8));
    assert_eq!(metrics.in_progress_interventions, 7);
    assert_eq!(metrics.by_type.values().copied().collect::<Vec<_>>(), [10, 10, 10]);
    assert_eq!(metrics.top_pilots.iter().map(|pilot| pilot.interventions).sum::<u64>(), 16);
    home.control.fold_counts().await.expect("an answer");
    assert_eq!(acme.metrics().await.expect("an answer"), metrics);
}

async fn fold_for_a_while(control: Control) {
    for _ in 0..20 {
        control.fold_counts().await.expect("an answer");
    }
}

async fn what_is_withdrawn_is_nobodys_decision(home: Home) {
    let own = home.asked("withdrawn").await;
    let cancel = Command::Cancel(CancelBody { reason: None });
    home.of("acme").decide("withdrawn", cancel, pilot(&own.created_by), after(50)).await.expect("withdrawn");
    let decided = home.asked("decided").await;
    home.of("acme").decide("decided", approve(&decided), pilot("ann"), after(10)).await.expect("decided");
    let metrics = home.of("acme").metrics().await.expect("an answer");
    let top: Vec<_> = metrics.top_pilots.iter().map(|pilot| (pilot.pilot_id.as_str(), pilot.interventions)).collect();
    assert_eq!(top, [("ann", 1)]);
    assert_eq!((metrics.avg_resolution_time_seconds, metrics.rejected_interventions), (10.0, 1));
}

async fn counts_of_nothing_are_removed_with_what_they_counted(home: Home) {
    for number in 0..3 {
        let id = format!("r{number}");
        let kind = format!("made_up_{number}").parse().expect("a type");
        let request = home.asked_with(&id, |create| create.intervention_type = kind).await;
        home.of("acme").decide(&id, approve(&request), pilot("ann"), after(1)).await.expect("decided");
    }
    home.asked("still-waits").await;
    assert_eq!(home.control.clear_archived(0, after(60)).await.expect("an answer"), 3);
    let before = home.of("acme").metrics().await.expect("an answer");
    home.control.fold_counts().await.expect("an answer");
    let kinds = |conn: &mut AnyConnection| {
        Ok::<_, StoreError>(intervention_counts::table.select(intervention_counts::intervention_type).load(conn)?)
    };
    let left: Vec<String> = home.control.database.read(Scope::Platform, kinds).await.expect("an answer");
    assert_eq!(left, ["approval"]);
    assert_eq!(home.of("acme").metrics().await.expect("an answer"), before);
    assert_eq!((before.total_interventions, before.pending_interventions), (1, 1));
}
