//! Starting over, and leaving the admin routes away.

use serde_json::json;

use crate::mock::{Answer, Mock};

#[tokio::test]
async fn clearing_the_log_forgets_requests_and_goes_on_counting_ids() {
    let mock = Mock::start().await;
    mock.chat(json!({})).await;
    Answer::of(mock.put("/admin/faults", &json!({ "plan": "status=503" }))).await;
    assert_eq!(Answer::of(mock.delete("/admin/requests")).await.status, 204);
    assert!(mock.log().await.is_empty());
    assert_eq!(Answer::of(mock.get("/admin/requests/count")).await.json(), json!({ "count": 0 }));
    assert_eq!(mock.chat(json!({})).await.status, 503, "rules stay");
    assert_eq!(mock.last().await["id"], 2);
}

#[tokio::test]
async fn a_reset_forgets_everything() {
    let mock = Mock::start().await;
    Answer::of(mock.put("/admin/faults", &json!({ "plan": "status=503" }))).await;
    mock.chat(json!({})).await;
    assert_eq!(Answer::of(mock.post("/admin/reset", "")).await.status, 204);
    assert!(mock.log().await.is_empty());
    assert_eq!(Answer::of(mock.get("/admin/faults")).await.json(), json!([]));
    assert_eq!(mock.chat(json!({})).await.status, 200);
}

#[tokio::test]
async fn the_admin_routes_can_be_left_away() {
    let mock = Mock::with(&[("VX11_MOCK_PROVIDER__ADMIN", "false")]).await;
    for request in [
        mock.get("/admin/requests"),
        mock.get("/admin/requests/count"),
        mock.get("/admin/faults"),
        mock.put("/admin/faults", &json!({ "plan": "reset" })),
        mock.delete("/admin/requests"),
        mock.post("/admin/reset", ""),
    ] {
        assert_eq!(Answer::of(request).await.status, 404);
    }
    assert_eq!(mock.chat(json!({})).await.status, 200);
}

#[tokio::test]
async fn a_plan_that_cannot_be_read_stops_the_start() {
    use vx11_chassis::config::Settings;
    let settings = Settings::load(None, [("VX11_MOCK_PROVIDER__FAULTS".to_owned(), "statu=503".to_owned())]).unwrap();
    let error = vx11_chassis::process::section::<vx11_mock_provider::MockProviderConfig>(&settings).unwrap_err();
    assert!(error.to_string().contains("mock_provider.faults") && error.to_string().contains("statu"), "{error}");
}
