use super::super::fixture::at;
use super::*;

fn sample(n: i64, second: i64) -> Sample {
    Sample {
        request_id: format!("r-{n}"),
        created_by: Some(format!("agent-{n}")),
        uow_id: None,
        created_at: at(second),
        status: Status::Approved,
        pilot: None,
    }
}

fn kinds(samples: &[Sample]) -> Vec<AnomalyKind> {
    anomalies(samples, &Thresholds::default()).into_iter().map(|found| found.kind).collect()
}

#[test]
fn one_author_who_asks_much_within_a_minute_is_a_burst() {
    let by_one = |count, every| {
        let samples = (0..count).map(|n| Sample { created_by: Some("agent".to_owned()), ..sample(n, n * every) });
        samples.collect::<Vec<_>>()
    };
    let found = anomalies(&by_one(30, 2), &Thresholds::default());
    assert_eq!((found.len(), found[0].kind, found[0].subject.as_deref()), (1, AnomalyKind::Burst, Some("agent")));
    assert_eq!(found[0].reason, "agent made 30 requests within 60 s; 20 are usual at most");
    assert_eq!((found[0].score, found[0].request_ids.len()), (1.5, 20));
    assert_eq!(kinds(&by_one(30, 3)), [], "20 a minute");
    assert_eq!(kinds(&(0..30).map(|n| sample(n, n)).collect::<Vec<_>>()), [], "thirty authors");
}

#[test]
fn a_unit_that_asks_one_pilot_after_another_shops_for_an_approval() {
    let asks = |n: i64, second: i64, pilot: &str| Sample {
        uow_id: Some("u-1".to_owned()),
        pilot: Some(pilot.to_owned()),
        status: Status::Rejected,
        ..sample(n, second)
    };
    let found = anomalies(&[asks(3, 300, "eve"), asks(1, 0, "ana"), asks(2, 200, "bob")], &Thresholds::default());
    assert_eq!((found.len(), found[0].kind), (1, AnomalyKind::RapidRetry));
    assert_eq!(found[0].reason, "u-1 asked 3 times within 600 s, and came to 3 pilots");
    assert_eq!(found[0].request_ids, ["r-1", "r-2", "r-3"]);
    assert_eq!(kinds(&[asks(1, 0, "ana"), asks(2, 1, "ana"), asks(3, 2, "ana")]), [], "one pilot");
    assert_eq!(kinds(&[asks(1, 0, "ana"), asks(2, 500, "bob"), asks(3, 1000, "eve")]), [], "in its own time");
}

#[test]
fn requests_that_mostly_expire_are_read_by_nobody() {
    let of = |expired: i64, answered: i64, open: i64| {
        let status = |n| match n {
            n if n < expired => Status::Expired,
            n if n < expired + answered => Status::Rejected,
            _ => Status::Pending,
        };
        let samples = (0..expired + answered + open).map(|n| Sample { status: status(n), ..sample(n, n * 100) });
        samples.collect::<Vec<_>>()
    };
    let found = anomalies(&of(4, 6, 50), &Thresholds::default());
    assert_eq!((found.len(), found[0].kind, found[0].subject.as_deref()), (1, AnomalyKind::Unanswered, None));
    assert_eq!(found[0].reason, "4 of 10 requests expired unanswered");
    assert_eq!(kinds(&of(3, 7, 0)), [], "as usual");
    assert_eq!(kinds(&of(9, 0, 50)), [], "too few to tell");
    assert_eq!(kinds(&[]), []);
}
