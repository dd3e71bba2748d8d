//! The work that a profile of the programs is made from: what each of them does most, whole and as streams, alone and side by
//! side. Then they are ended in good order, which is when they write down what was counted.

use std::time::Duration;

use vx11_tests::{Chain, TOKEN};

use crate::gateway::{KEY, LIMITS, REQUEST, STREAM};
use crate::load::{self, Target};
use crate::{SERVICES, streams, unlimited};

const LONG: &str = r#"{"model":"mock","messages":[{"role":"system","content":"You answer in one sentence."},{"role":"user","content":"What is a gateway?"},{"role":"assistant","content":"A program in front of others."},{"role":"user","content":"And a proxy? {n}"}],"temperature":0.2,"max_tokens":200,"tools":[{"type":"function","function":{"name":"look_up","parameters":{"type":"object","properties":{"word":{"type":"string"}}}}}]}"#;
const MESSAGE: &str = r#"{"model":"mock","max_tokens":200,"messages":[{"role":"user","content":"Hello {n}"}]}"#;
const CHAT: &str = r#"{"message":"Hello {n}"}"#;

/// Loads the chain and the gateway for `time` each way.
pub(crate) async fn run(time: Duration) -> anyhow::Result<()> {
    let mut chain = Chain::start_with(&[&unlimited()[..], &LIMITS].concat())?;
    let (edge, switch) = (chain.address("tentaculo"), chain.address("switch"));
    let whole = [
        Target::post(switch, "/v1/chat/completions", Some(KEY), REQUEST),
        Target::post(switch, "/v1/chat/completions", Some(KEY), LONG),
        Target::post(switch, "/v1/messages", Some(KEY), MESSAGE),
        Target::post(edge, "/v1/chat/completions", Some(TOKEN), REQUEST),
        Target::post(edge, "/operator/api/chat", Some(TOKEN), CHAT),
        Target::post(chain.address("madre"), "/madre/chat", Some(TOKEN), CHAT),
    ];
    let streamed = [switch, edge].map(|address| Target::post(address, "/v1/chat/completions", Some(TOKEN), STREAM));
    for target in &whole {
        let side_by_side = load::run(target, 32, time).await?;
        let alone = load::run(target, 1, time / 2).await?;
        let errors = side_by_side.errors + alone.errors;
        anyhow::ensure!(errors == 0, "{errors} errors: {}", target.head);
    }
    for target in &streamed {
        for _ in 0..4 {
            streams::median_first_chunk_ms(target, 64).await?;
        }
    }
    for service in SERVICES {
        chain.process(service).terminate()?;
    }
    Ok(())
}
