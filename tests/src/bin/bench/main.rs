//! Loads the programs that lie beside it and prints what they do: to the bare mock provider, through the switch, and
//! through the whole chain with storage, logs and metrics on; as ratios to the bare provider, interleaved in one run.
//!
//! Then the gateway beside nginx as a plain proxy.
//!
//! Then the desk that people decide at, with a million requests kept and ten thousand sockets open.
//!
//! `bench [seconds a measurement] [rounds] [chain | gateway | interventions]`; all where none is named. `bench [seconds] 1 train`
//! measures nothing: it is the load that `deploy/pgo/train.sh` profiles.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod gateway;
mod interventions;
mod load;
mod nginx;
mod report;
mod streams;
mod training;
mod usage;

use std::time::{Duration, Instant};

use anyhow::Context;
use load::{Outcome, Target};
use report::{Bound, judge, median};
use vx11_tests::{Chain, Process, TOKEN, base_env};

const CONNECTIONS: u64 = 64;
const SERVICES: [&str; 5] = ["tentaculo", "operator", "switch", "madre", "mock-provider"];

/// What is aimed at, on two cores with the load beside it.
mod targets {
    pub(crate) const CHAIN_RATIO: f64 = 0.07;
    pub(crate) const P99_PER_P50: f64 = 20.0;
    pub(crate) const CPU_SECONDS_PER_1000: f64 = 0.5;
    pub(crate) const ADDED_MEDIAN_MS: f64 = 1.5;
    pub(crate) const RESIDENT_MIB: f64 = 60.0;
    pub(crate) const READY_MS: f64 = 300.0;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| arguments.get(at).map_or(Ok(default), |text| text.parse::<u64>());
    let (time, rounds) = (Duration::from_secs(number(0, 5)?), number(1, 3)?);
    let part = arguments.get(2).map(String::as_str);
    if part == Some("train") {
        return training::run(time).await;
    }
    let wanted = |name| part.is_none_or(|part| part == name);
    if wanted("chain") {
        five_processes(time, rounds).await?;
        one_process().await?;
    }
    if wanted("gateway") {
        gateway::run(time, rounds).await?;
    }
    if wanted("interventions") {
        interventions::run().await?;
    }
    report::check()
}

/// One line of the table.
struct Row {
    name: &'static str,
    target: Target,
    loaded: Vec<Outcome>,
    alone: Vec<Outcome>,
    cpu_per_1000: Vec<f64>,
}

async fn five_processes(time: Duration, rounds: u64) -> anyhow::Result<()> {
    let mut chain = Chain::start_with(&unlimited())?;
    let ids: Vec<u32> = SERVICES.iter().map(|service| chain.process(service).id()).collect();
    let openai = r#"{"model":"mock","messages":[{"role":"user","content":"Hello {n}"}]}"#;
    let row = |name, target| Row { name, target, loaded: Vec::new(), alone: Vec::new(), cpu_per_1000: Vec::new() };
    let mut rows = [
        row(
            "mock-provider, direct",
            Target::post(chain.address("mock-provider"), "/v1/chat/completions", None, openai),
        ),
        row("through the switch", Target::post(chain.address("switch"), "/v1/chat/completions", Some(TOKEN), openai)),
        row(
            "the whole chain",
            Target::post(chain.address("tentaculo"), "/operator/api/chat", Some(TOKEN), r#"{"message":"Hello {n}"}"#),
        ),
    ];
    for row in &rows {
        load::run(&row.target, 8, Duration::from_secs(1)).await.with_context(|| format!("warming up {}", row.name))?;
    }
    for _ in 0..rounds {
        for row in &mut rows {
            let before = usage::cpu_seconds(&ids)?;
            let outcome = load::run(&row.target, CONNECTIONS, time).await?;
            row.cpu_per_1000.push((usage::cpu_seconds(&ids)? - before) * 1000.0 / outcome.answered as f64);
            row.loaded.push(outcome);
            row.alone.push(load::run(&row.target, 1, time / 2).await?);
        }
    }
    print_table(&rows);
    for service in SERVICES {
        println!("{service:<15} {:>6.1} MiB resident", usage::resident_mib(chain.process(service).id())?);
    }
    judge_chain(&rows);
    Ok(())
}

fn print_table(rows: &[Row]) {
    let direct = median(rows[0].loaded.iter().map(Outcome::per_second));
    println!("{CONNECTIONS} connections, and one; medians of {} interleaved rounds", rows[0].loaded.len());
    println!(
        "{:<22} {:>9} {:>7} {:>8} {:>8} {:>8} {:>7} {:>10} {:>9}",
        "", "chats/s", "ratio", "p50 ms", "p95 ms", "p99 ms", "errors", "CPU s/1000", "p50 at 1"
    );
    for row in rows {
        let rate = median(row.loaded.iter().map(Outcome::per_second));
        let at = |quantile| median(row.loaded.iter().map(|outcome| outcome.millis(quantile)));
        println!(
            "{:<22} {rate:>9.0} {:>7.3} {:>8.2} {:>8.2} {:>8.2} {:>7} {:>10.3} {:>9.3}",
            row.name,
            rate / direct,
            at(0.5),
            at(0.95),
            at(0.99),
            errors(row),
            median(row.cpu_per_1000.iter().copied()),
            median(row.alone.iter().map(|outcome| outcome.millis(0.5))),
        );
    }
}

fn judge_chain(rows: &[Row]) {
    let [direct, _, chain] = rows else { return };
    let rate = |row: &Row| median(row.loaded.iter().map(Outcome::per_second));
    let alone = |row: &Row| median(row.alone.iter().map(|outcome| outcome.millis(0.5)));
    let at = |quantile| median(chain.loaded.iter().map(|outcome| outcome.millis(quantile)));
    println!();
    judge("chain, ratio to direct", rate(chain) / rate(direct), targets::CHAIN_RATIO, Bound::AtLeast);
    judge("chain, errors", errors(chain) as f64, 0.0, Bound::AtMost);
    judge("chain, p99 by its own p50", at(0.99) / at(0.5), targets::P99_PER_P50, Bound::AtMost);
    judge(
        "chain, CPU seconds per 1000",
        median(chain.cpu_per_1000.iter().copied()),
        targets::CPU_SECONDS_PER_1000,
        Bound::AtMost,
    );
    judge("chain, ms added at one connection", alone(chain) - alone(direct), targets::ADDED_MEDIAN_MS, Bound::AtMost);
}

async fn one_process() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut env = base_env(data.path());
    env.extend(unlimited().map(|(name, value)| (name.to_owned(), value.to_owned())));
    let ready = start_to_ready(&env)?;
    let mut process = Process::start("vx11", &env, &["up"])?;
    let addresses = process.addresses(&SERVICES)?;
    let edge = &addresses["tentaculo"];
    let target = Target::post(edge, "/operator/api/chat", Some(TOKEN), r#"{"message":"Hello {n}"}"#);
    let mut answered = 0;
    while answered < 10_000 {
        answered += load::run(&target, CONNECTIONS, Duration::from_secs(1)).await?.answered;
    }
    println!("\nall five in one process, after {answered} chats");
    judge("resident MiB", usage::resident_mib(process.id())?, targets::RESIDENT_MIB, Bound::AtMost);
    judge("ms from start to ready", ready, targets::READY_MS, Bound::AtMost);
    Ok(())
}

/// Milliseconds from the start of the process to the first 200 of the edge's `/ready`; the median of five starts.
fn start_to_ready(env: &std::collections::BTreeMap<String, String>) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let mut process = Process::start("vx11", env, &["up"])?;
        let address = process.addresses(&SERVICES)?.remove("tentaculo").context("no edge")?;
        let mut stream = std::net::TcpStream::connect(&address)?;
        std::io::Write::write_all(&mut stream, b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer)?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "not ready: {answer}");
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        process.terminate()?;
    }
    Ok(median(times))
}

/// Limits out of the way, and one answer for every question: what is measured is the work, not the refusals.
fn unlimited() -> [(&'static str, &'static str); 4] {
    [
        ("VX11_TENTACULO__ADDRESS_LIMIT__PER_MINUTE", "100000000"),
        ("VX11_TENTACULO__ADDRESS_LIMIT__BURST", "100000000"),
        ("VX11_TENTACULO__TOKEN_LIMIT__PER_MINUTE", "100000000"),
        ("VX11_TENTACULO__TOKEN_LIMIT__BURST", "100000000"),
    ]
}

fn errors(row: &Row) -> u64 {
    row.loaded.iter().chain(&row.alone).map(|outcome| outcome.errors).sum()
}
