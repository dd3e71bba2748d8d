//! Where a fault can be asked for, and which request for it counts.

use serde_json::json;

use crate::mock::{Answer, Mock};

async fn set(mock: &Mock, rules: serde_json::Value) {
    assert_eq!(Answer::of(mock.put("/admin/faults", &rules)).await.status, 200);
}

#[tokio::test]
async fn a_fault_is_asked_for_by_model_header_rule_or_configuration() {
    let mock = Mock::with(&[("VX11_MOCK_PROVIDER__FAULTS", "status=501")]).await;
    let plain = async || mock.chat(json!({})).await.status;
    assert_eq!(plain().await, 501);
    set(&mock, json!({ "plan": "status=502" })).await;
    assert_eq!(plain().await, 502);
    assert_eq!(mock.faulty("status=503").await.status, 503);
    let both = mock.completion(&json!({ "model": "mock+status=503" })).header("x-mock-fault", "status=504");
    assert_eq!(Answer::of(both).await.status, 504);
    let none = mock.completion(&json!({ "model": "mock+status=503" })).header("x-mock-fault", "");
    assert_eq!(Answer::of(none).await.status, 200, "an empty plan is a plan too");
    assert_eq!(mock.chat(json!({ "model": "mock+" })).await.status, 200);
}

#[tokio::test]
async fn a_rule_is_for_its_model_and_its_times() {
    let mock = Mock::start().await;
    set(
        &mock,
        json!([{ "model": "mock-large", "plan": "status=503", "times": 2 }, { "plan": "status=500", "times": 1 }]),
    )
    .await;
    let ask = async |model: &str| mock.chat(json!({ "model": model })).await.status;
    assert_eq!([ask("mock").await, ask("mock").await], [500, 200]);
    assert_eq!([ask("mock-large").await, ask("mock-large").await, ask("mock-large").await], [503, 503, 200]);
    let left = Answer::of(mock.get("/admin/faults")).await.json();
    assert_eq!((&left[0]["times"], &left[1]["times"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn rules_replace_each_other_and_can_be_taken_back() {
    let mock = Mock::start().await;
    set(&mock, json!({ "plan": "reset" })).await;
    set(&mock, json!([{ "plan": "status=503" }])).await;
    assert_eq!(Answer::of(mock.get("/admin/faults")).await.json(), json!([{ "plan": "status=503" }]));
    assert_eq!(mock.chat(json!({})).await.status, 503);
    assert_eq!(Answer::of(mock.delete("/admin/faults")).await.status, 204);
    assert_eq!(mock.chat(json!({})).await.status, 200);
    assert_eq!(Answer::of(mock.get("/admin/faults")).await.json(), json!([]));
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_changes_nothing() {
    let mock = Mock::start().await;
    set(&mock, json!({ "plan": "status=503" })).await;
    for bad in [
        json!({ "plan": "statu=503" }),
        json!([{ "plan": "status=500" }, { "plan": "nonsense" }]),
        json!({ "plan": "reset", "model": 7 }),
        json!({ "plan": "reset", "tmes": 2 }),
        json!({ "model": "mock" }),
        json!("reset"),
    ] {
        let got = Answer::of(mock.put("/admin/faults", &bad)).await;
        assert_eq!((got.status, &got.json()["error"]["code"]), (422, &json!("invalid_field")), "{bad}");
    }
    assert_eq!(mock.chat(json!({})).await.status, 503);
}
