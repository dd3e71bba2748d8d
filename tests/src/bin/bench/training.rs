//! The work that a profile is made from: what each service does most, whole and as streams, alone and side by side. All
//! five are one process here, which ends in good order, because that is when it writes down what was counted.

use std::time::{Duration, Instant};

use vx11_tests::{Process, TOKEN, base_env};

use crate::gateway::{KEY, LIMITS, REQUEST, STREAM};
use crate::load::{self, Target};
use crate::{SERVICES, streams, unlimited};

const LONG: &str = r#"{"model":"mock","messages":[{"role":"system","content":"You answer in one sentence."},{"role":"user","content":"What is a gateway?"},{"role":"assistant","content":"A program in front of others."},{"role":"user","content":"And a proxy? {n}"}],"temperature":0.2,"max_tokens":200,"tools":[{"type":"function","function":{"name":"look_up","parameters":{"type":"object","properties":{"word":{"type":"string"}}}}}]}"#;
const MESSAGE: &str = r#"{"model":"mock","max_tokens":200,"messages":[{"role":"user","content":"Hello {n}"}]}"#;
const CHAT: &str = r#"{"message":"Hello {n}"}"#;

/// Loads the chain and the gateway for `time` each way.
pub(crate) async fn run(time: Duration) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut env = base_env(data.path());
    let settings = unlimited().into_iter().chain(LIMITS);
    env.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut process = Process::start("vx11", &env, &["up"])?;
    let addresses = process.addresses(&SERVICES)?;
    let (edge, switch) = (&*addresses["tentaculo"], &*addresses["switch"]);
    let whole = [
        Target::post(switch, "/v1/chat/completions", Some(KEY), REQUEST),
        Target::post(switch, "/v1/chat/completions", Some(KEY), LONG),
        Target::post(switch, "/v1/messages", Some(KEY), MESSAGE),
        Target::post(edge, "/v1/chat/completions", Some(TOKEN), REQUEST),
        Target::post(edge, "/operator/api/chat", Some(TOKEN), CHAT),
        Target::post(&addresses["madre"], "/madre/chat", Some(TOKEN), CHAT),
    ];
    let streamed = [(switch, KEY), (edge, TOKEN)]
        .map(|(address, key)| Target::post(address, "/v1/chat/completions", Some(key), STREAM));
    for target in &whole {
        let side_by_side = load::run(target, 32, time).await?;
        let alone = load::run(target, 1, time / 2).await?;
        let errors = side_by_side.errors + alone.errors;
        anyhow::ensure!(errors == 0, "{errors} errors: {}", target.head);
    }
    // As long as the others: what has been counted too seldom is laid out as if it were never run.
    for target in &streamed {
        let begun = Instant::now();
        while begun.elapsed() < 2 * time {
            streams::median_first_chunk_ms(target, 64).await?;
        }
    }
    process.terminate()?;
    Ok(())
}
