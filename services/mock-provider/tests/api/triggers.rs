//! Faults that happen only sometimes.

use serde_json::json;

use crate::mock::{Answer, Mock, eventually};

#[tokio::test]
async fn the_first_requests_fail_and_no_others() {
    let mock = Mock::start().await;
    assert_eq!(mock.statuses("fail_first=2", 4).await, [500, 500, 200, 200]);
    assert_eq!(mock.statuses("fail_first=1,status=503", 2).await, [503, 200]);
    assert_eq!(mock.statuses("fail_first=2", 1).await, [200], "each plan has its own count");
    Answer::of(mock.post("/admin/reset", "")).await;
    assert_eq!(mock.statuses("fail_first=1", 2).await, [500, 200], "it starts over");
}

#[tokio::test]
async fn an_error_rate_hits_the_same_requests_in_every_run() {
    let (one, two) = (Mock::start().await, Mock::start().await);
    let statuses = one.statuses("error_rate=0.5,status=503", 40).await;
    assert_eq!(statuses, two.statuses("error_rate=0.5,status=503", 40).await);
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    assert_eq!(one.statuses("error_rate=0", 5).await, [200; 5]);
    assert_eq!(one.statuses("error_rate=1", 5).await, [500; 5]);
}

#[tokio::test]
async fn a_flapping_provider_follows_the_clock() {
    let mock = Mock::start().await;
    assert_eq!(mock.statuses("flap=1m/1m,status=503", 3).await, [200; 3], "it is well first");
    assert_eq!(mock.statuses("flap=0s/1m,status=503", 3).await, [503; 3]);
    let status = async || mock.faulty("flap=100ms/100ms").await.status;
    for wanted in [200, 500, 200] {
        eventually("it changes", async || status().await == wanted).await;
    }
}

#[tokio::test]
async fn a_trigger_holds_back_every_other_fault() {
    let mock = Mock::start().await;
    let fields = json!({ "model": "mock+fail_first=1,cut=1", "stream": true });
    assert!(mock.completion(&fields).send().await.unwrap().text().await.is_err());
    assert_eq!(mock.chat(fields).await.events().last(), Some(&"[DONE]"));
    let log = mock.log().await;
    assert_eq!((&log[0]["fault"], &log[1]["fault"]), (&json!("cut=1"), &json!("")), "the log says what happened");
}
