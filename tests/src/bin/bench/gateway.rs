//! The gateway beside a plain proxy: nginx with one worker and the switch, both in front of the same mock provider,
//! measured in turns; and any other gateway that `PEER_URL` names (with `PEER_KEY` as its Bearer token).

use std::time::Duration;

use vx11_tests::Chain;

use crate::load::{self, Outcome, Target};
use crate::nginx::Nginx;
use crate::report::{Bound, judge, median};
use crate::{streams, unlimited, usage};

/// A caller's key with a limit of every sort, none of which is reached.
pub(crate) const KEY: &str = "sk-bench";
pub(crate) const LIMITS: [(&str, &str); 6] = [
    ("BENCH_KEY", KEY),
    ("VX11_SWITCH__KEYS__BENCH__SECRET_ENV", "BENCH_KEY"),
    ("VX11_SWITCH__KEYS__BENCH__ORG", "acme"),
    ("VX11_SWITCH__KEYS__BENCH__REQUESTS_PER_MINUTE", "1000000000"),
    ("VX11_SWITCH__KEYS__BENCH__TOKENS_PER_DAY", "1000000000000"),
    ("VX11_SWITCH__KEYS__BENCH__BUDGET", "{usd=1000000,period=\"month\"}"),
];
const CONNECTIONS: u64 = 32;
const STREAMS: usize = 64;
pub(crate) const REQUEST: &str = r#"{"model":"mock","messages":[{"role":"user","content":"Hello {n}"}]}"#;
/// Fifty chunks, a millisecond apart.
pub(crate) const STREAM: &str =
    r#"{"model":"mock+drip=1ms","stream":true,"messages":[{"role":"user","content":"tokens: 50 {n}"}]}"#;
/// After how many requests memory is looked at.
const MANY: u64 = 1_000_000;

/// What is aimed at, on two cores with the load beside it.
mod targets {
    pub(crate) const CPU_BY_NGINX: f64 = 2.5;
    pub(crate) const RATE_BY_NGINX: f64 = 0.6;
    pub(crate) const ADDED_MEDIAN_BY_NGINX: f64 = 2.5;
    pub(crate) const FIRST_CHUNK_MS: f64 = 1.0;
    /// Of a million bytes each, where `/proc` counts in 1024.
    pub(crate) const RESIDENT_MB: f64 = 40.0;
    pub(crate) const GROWTH: f64 = 1.05;
}

/// One way to the provider.
struct Way {
    name: &'static str,
    process: Option<u32>,
    whole: Target,
    stream: Target,
    loaded: Vec<Outcome>,
    alone: Vec<Outcome>,
    first_chunks: Vec<f64>,
    cpu_per_1000: Vec<f64>,
    errors: u64,
}

impl Way {
    fn new(name: &'static str, process: Option<u32>, address: &str, key: Option<&str>) -> Self {
        let target = |body| Target::post(address, "/v1/chat/completions", key, body);
        Self {
            name,
            process,
            whole: target(REQUEST),
            stream: target(STREAM),
            loaded: Vec::new(),
            alone: Vec::new(),
            first_chunks: Vec::new(),
            cpu_per_1000: Vec::new(),
            errors: 0,
        }
    }

    async fn measure(&mut self, time: Duration) -> anyhow::Result<()> {
        let cpu = |process: Option<u32>| process.map_or(Ok(0.0), |id| usage::cpu_seconds(&[id]));
        let before = cpu(self.process)?;
        let loaded = load::run(&self.whole, CONNECTIONS, time).await?;
        self.cpu_per_1000.push((cpu(self.process)? - before) * 1000.0 / loaded.answered as f64);
        let alone = load::run(&self.whole, 1, time / 2).await?;
        self.errors += loaded.errors + alone.errors;
        self.loaded.push(loaded);
        self.alone.push(alone);
        self.first_chunks.push(streams::median_first_chunk_ms(&self.stream, STREAMS).await?);
        Ok(())
    }

    fn rate(&self) -> f64 {
        median(self.loaded.iter().map(Outcome::per_second))
    }

    fn at_one(&self) -> f64 {
        median(self.alone.iter().map(|outcome| outcome.millis(0.5)))
    }

    fn cpu(&self) -> f64 {
        median(self.cpu_per_1000.iter().copied())
    }

    fn first_chunk(&self) -> f64 {
        median(self.first_chunks.iter().copied())
    }
}

pub(crate) async fn run(time: Duration, rounds: u64) -> anyhow::Result<()> {
    let mut chain = Chain::start_with(&[&unlimited()[..], &LIMITS].concat())?;
    let provider = chain.address("mock-provider").to_owned();
    let nginx = Nginx::in_front_of(&provider)?;
    let switch = chain.process("switch").id();
    let mut ways = vec![
        Way::new("mock-provider, direct", None, &provider, None),
        Way::new("nginx, plain proxy", Some(nginx.id()), nginx.address(), None),
        Way::new("switch", Some(switch), chain.address("switch"), Some(KEY)),
    ];
    let peer = std::env::var("PEER_URL").ok();
    if let Some(url) = &peer {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        ways.push(Way::new("peer", None, address, std::env::var("PEER_KEY").ok().as_deref()));
    }
    for way in &ways {
        load::run(&way.whole, 8, Duration::from_secs(1)).await?;
    }
    for _ in 0..rounds {
        for way in &mut ways {
            way.measure(time).await?;
        }
    }
    print_table(&ways);
    judge_switch(&ways);
    memory(switch, &ways[2].whole).await
}

fn print_table(ways: &[Way]) {
    println!("\nthe gateway: {CONNECTIONS} connections, one, and {STREAMS} streams of 50 chunks");
    println!(
        "{:<22} {:>9} {:>8} {:>8} {:>8} {:>10} {:>9} {:>12} {:>7}",
        "", "req/s", "p50 ms", "p95 ms", "p99 ms", "CPU s/1000", "p50 at 1", "1st chunk ms", "errors"
    );
    for way in ways {
        let at = |quantile| median(way.loaded.iter().map(|outcome| outcome.millis(quantile)));
        println!(
            "{:<22} {:>9.0} {:>8.2} {:>8.2} {:>8.2} {:>10.3} {:>9.3} {:>12.2} {:>7}",
            way.name,
            way.rate(),
            at(0.5),
            at(0.95),
            at(0.99),
            way.cpu(),
            way.at_one(),
            way.first_chunk(),
            way.errors,
        );
    }
    println!();
}

fn judge_switch(ways: &[Way]) {
    let [direct, nginx, switch, ..] = ways else { return };
    judge("switch, CPU by nginx's", switch.cpu() / nginx.cpu(), targets::CPU_BY_NGINX, Bound::AtMost);
    judge("switch, requests/s by nginx's", switch.rate() / nginx.rate(), targets::RATE_BY_NGINX, Bound::AtLeast);
    let added = |way: &Way| way.at_one() - direct.at_one();
    judge("switch, ms added by nginx's", added(switch) / added(nginx), targets::ADDED_MEDIAN_BY_NGINX, Bound::AtMost);
    let later = switch.first_chunk() - direct.first_chunk();
    judge("switch, ms to the first chunk added", later, targets::FIRST_CHUNK_MS, Bound::AtMost);
    judge("switch, errors", switch.errors as f64, 0.0, Bound::AtMost);
}

/// What a million requests leave behind, and what the next quarter of a million adds.
async fn memory(switch: u32, target: &Target) -> anyhow::Result<()> {
    let load = async |count: u64| -> anyhow::Result<f64> {
        let mut answered = 0;
        while answered < count {
            answered += load::run(target, CONNECTIONS, Duration::from_secs(5)).await?.answered;
        }
        usage::resident_mib(switch)
    };
    let (after, later) = (load(MANY).await?, load(MANY / 4).await?);
    let megabytes = after * f64::from(1 << 20) / 1e6;
    judge("switch, MB after a million requests", megabytes, targets::RESIDENT_MB, Bound::AtMost);
    judge("switch, growth afterwards", later / after, targets::GROWTH, Bound::AtMost);
    Ok(())
}
