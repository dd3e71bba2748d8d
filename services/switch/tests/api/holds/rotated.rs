//! Keys of the configuration that are replaced while a request with them is held.

use serde_json::json;

use super::desk::Desk;
use super::{PAY, body, well};
use crate::app::{Answer, App};

/// The SHA-256 of `sk-alice` and of `sk-other`.
const ALICES: &str = "099295a3784e1bd368dc348843a7398c1931b6b8ec2504c73e91ed2040bdc46c";
const OTHERS: &str = "3dcad332ca200026cb05197382714c13fbe0737dee3d327981a235067882d2d3";

#[tokio::test]
async fn a_replaced_key_does_not_go_on_under_its_name() {
    let (provider, desk) = (well().await, Desk::open());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vx11.toml");
    let write = |digest: &str| {
        let text = format!(
            "[switch.providers.a]\nbase_url = \"{}/v1\"\nmodels = [\"m\"]\n[switch.keys.alice]\nsha256 = \"{digest}\"\n{PAY}",
            provider.url
        );
        // At once, so that no half of it is read.
        let whole = file.with_extension("new");
        std::fs::write(&whole, text).unwrap();
        std::fs::rename(whole, &file).unwrap();
    };
    write(ALICES);
    let app = App::start_with(Some(&file), &[("VX11_OPERATOR_URL", desk.url.as_str())]).await;
    let ask = |secret: &str| {
        let request = app.stranger("/v1/chat/completions").bearer_auth(secret);
        tokio::spawn(Answer::of(request.body(body("m", "pay").to_string())))
    };
    let asking = ask("sk-alice");
    let id = desk.asked(0).await;
    write(OTHERS);
    app.wait_for_metric(r#"vx11_config_reloads_total{outcome="applied"}"#, 1.0).await;
    desk.approve(&id);
    let answer = asking.await.unwrap();
    assert_eq!(answer.refusal(), (401, "invalid_api_key".to_owned()));
    assert_eq!((&desk.request(&id)["status"], provider.requests().len()), (&json!("APPROVED"), 0));

    let asking = ask("sk-other");
    desk.approve(&desk.asked(1).await);
    assert_eq!(asking.await.unwrap().status, 200);
}
