//! One figure for the stores' health, with its reasons.
//!
//! A run begins with 100 points and loses some for each thing that is wrong; the table below is all there is to it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vx11_store::upkeep::StoreReport;

use super::report::{has_failed_table, is_failure, mebibytes};

/// Above this size a store loses points.
const LARGE: u64 = 500 << 20;

/// `score` 0 to 100, `verdict` (`healthy` from 90, `attention` from 60, else `critical`), `reasons`, and totals.
pub(super) fn of(stores: &BTreeMap<&'static str, Result<StoreReport, String>>) -> BTreeMap<String, Value> {
    let deductions: Vec<Value> = stores.iter().flat_map(|(name, store)| deductions(name, store)).collect();
    let lost: u64 = deductions.iter().filter_map(|reason| reason["points"].as_u64()).sum();
    let score = 100_u64.saturating_sub(lost);
    let verdict = match score {
        90.. => "healthy",
        60..90 => "attention",
        _ => "critical",
    };
    let reported = || stores.values().flatten();
    let rows: u64 = reported().map(|store| total(&store.counts)).sum();
    let overdue: u64 = reported().map(overdue).sum();
    let size: u64 = reported().map(|store| store.size_bytes).sum();
    [
        ("score", json!(score)),
        ("verdict", json!(verdict)),
        ("reasons", json!(deductions)),
        ("stores_reported", json!(reported().count())),
        ("stores_total", json!(stores.len())),
        ("rows_total", json!(rows)),
        ("rows_overdue", json!(overdue)),
        ("size_mb", json!(mebibytes(size))),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn deductions(name: &str, store: &Result<StoreReport, String>) -> Vec<Value> {
    let reason = |points: u64, why: String| json!({ "store": name, "points": points, "why": why });
    let store = match store {
        Ok(store) => store,
        Err(error) => return vec![reason(40, format!("could not be asked: {error}"))],
    };
    let mut reasons = Vec::new();
    match store.integrity["state"].as_str() {
        Some("ok") => {}
        Some("warning") => reasons.push(reason(20, "rows refer to rows that do not exist".to_owned())),
        Some(_) => reasons.push(reason(60, "the file is damaged".to_owned())),
        None => reasons.push(reason(30, "its integrity could not be checked".to_owned())),
    }
    if is_failure(&store.backup_rotation) {
        reasons.push(reason(20, "no backup was made".to_owned()));
    }
    if is_failure(&store.retention) || has_failed_table(&store.retention) {
        reasons.push(reason(10, "retention did not go through".to_owned()));
    }
    if overdue(store) > 0 {
        reasons.push(reason(5, format!("{} rows are past their retention", overdue(store))));
    }
    if is_failure(&store.counts) || is_failure(&store.schema) {
        reasons.push(reason(5, "its rows or tables could not be listed".to_owned()));
    }
    // PostgreSQL is where large stores belong.
    if store.size_bytes > LARGE && store.backup_rotation["status"] != "elsewhere" {
        reasons.push(reason(10, "it is larger than 500 MiB".to_owned()));
    }
    reasons
}

fn total(counts: &Value) -> u64 {
    counts.as_object().map_or(0, |tables| tables.values().filter_map(Value::as_u64).sum())
}

/// Rows that are past their retention and still there.
fn overdue(store: &StoreReport) -> u64 {
    if store.retention["applied"] == true {
        return 0;
    }
    let tables = store.retention["tables"].as_array();
    tables.map_or(0, |tables| tables.iter().filter_map(|table| table["rows"].as_u64()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> StoreReport {
        StoreReport {
            size_bytes: 3 << 20,
            integrity: json!({ "state": "ok", "messages": [] }),
            retention: json!({ "applied": false, "tables": [{ "table": "logs", "rows": 0 }] }),
            backup_rotation: json!({ "created": { "bytes": 1 } }),
            counts: json!({ "logs": 7, "plans": 2 }),
            schema: json!([]),
        }
    }

    fn score(store: Result<StoreReport, String>) -> (u64, String, Vec<String>) {
        let card = of(&BTreeMap::from([("madre", store)]));
        let why = |reason: &Value| reason["why"].as_str().unwrap_or_default().to_owned();
        (
            card["score"].as_u64().expect("a number"),
            card["verdict"].as_str().expect("a word").to_owned(),
            card["reasons"].as_array().expect("a list").iter().map(why).collect(),
        )
    }

    #[test]
    fn sound_stores_score_full_and_their_rows_are_added_up() {
        assert_eq!(score(Ok(sound())), (100, "healthy".to_owned(), vec![]));
        let card = of(&BTreeMap::from([("madre", Ok(sound())), ("operator", Ok(sound()))]));
        assert_eq!((&card["rows_total"], &card["size_mb"]), (&json!(18), &json!(6.0)));
    }

    #[test]
    fn what_is_wrong_costs_points_and_is_named() {
        let damaged = StoreReport { integrity: json!({ "state": "critical" }), ..sound() };
        let (points, verdict, why) = score(Ok(damaged));
        assert_eq!((points, verdict.as_str()), (40, "critical"));
        assert_eq!(why, ["the file is damaged"]);

        let no_backup = StoreReport { backup_rotation: json!({ "status": "error", "error": "disk full" }), ..sound() };
        assert_eq!(score(Ok(no_backup)).0, 80);
        let overdue = json!({ "applied": false, "tables": [{ "table": "logs", "rows": 12 }] });
        let (points, verdict, why) = score(Ok(StoreReport { retention: overdue, ..sound() }));
        assert_eq!((points, verdict.as_str(), why[0].as_str()), (95, "healthy", "12 rows are past their retention"));
        assert_eq!(score(Err("cannot connect".to_owned())).0, 60);
    }

    #[test]
    fn the_score_does_not_fall_below_nothing() {
        let failed = json!({ "status": "error", "error": "x" });
        let hopeless = StoreReport {
            size_bytes: u64::MAX,
            integrity: json!({ "state": "critical" }),
            retention: failed.clone(),
            backup_rotation: failed.clone(),
            counts: failed.clone(),
            schema: failed,
        };
        assert_eq!(score(Ok(hopeless)).0, 0);
    }
}
