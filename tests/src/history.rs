//! Whether a cluster keeps what it told its clients while its parts fail: clients note every answer, a seeded schedule
//! breaks one part after another, and afterwards the notes are compared with what is kept.
//!
//! What was answered is acknowledged. What was not (the connection broke, nothing came in time) may have been done or
//! not; a client asks again as good clients do, elsewhere, and with the same idempotency key where there is one.

mod blow;
mod chats;
mod client;
mod decisions;
mod events;
mod report;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use tokio::task::JoinSet;

pub use report::Report;

use crate::cluster::Cluster;
use crate::{send, wait_until};
use blow::Blow;
use chats::Chats;
use client::Client;
use decisions::{Agent, Pilot};

/// What a cluster of which histories are checked is started with: limits out of the clients' way, and event streams whose
/// silence is soon noticed.
pub const VARIABLES: [(&str, &str); 6] = [
    ("VX11_TENTACULO__ADDRESS_LIMIT__PER_MINUTE", "100000000"),
    ("VX11_TENTACULO__ADDRESS_LIMIT__BURST", "100000000"),
    ("VX11_TENTACULO__TOKEN_LIMIT__PER_MINUTE", "100000000"),
    ("VX11_TENTACULO__TOKEN_LIMIT__BURST", "100000000"),
    ("VX11_OPERATOR__CHAT__RATE_LIMIT", "1000000"),
    ("VX11_OPERATOR__EVENTS__HEARTBEAT", "2s"),
];

const CHATTERS: usize = 6;
const AGENTS: usize = 4;
const PILOTS: usize = 4;
/// Chats and decisions that have to come through after each blow.
const STEP: usize = 3;
/// Longest wait for them.
const RECOVERY: Duration = Duration::from_secs(60);

/// What happens, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the schedule is drawn from.
    pub seed: u64,
    /// What is broken: a name of the cluster's.
    pub only: String,
    /// Until so many blows, and so much time, have passed.
    pub blows: usize,
    /// See [`Self::blows`].
    pub time: Duration,
    /// Milliseconds that a part is away.
    pub away: Range<u64>,
    /// Milliseconds in between.
    pub between: Range<u64>,
}

/// How far the clients have come.
#[derive(Debug, Default)]
struct Progress {
    answered: AtomicUsize,
    decided: AtomicUsize,
    /// Nothing new is begun.
    is_over: AtomicBool,
    /// No agent waits any more.
    is_decided: AtomicBool,
}

impl Progress {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn counts(&self) -> [usize; 2] {
        [&self.answered, &self.decided].map(|count| count.load(Ordering::Relaxed))
    }

    /// Waits until chats and decisions come through again.
    async fn moves_on(&self) -> anyhow::Result<()> {
        let (before, begun) = (self.counts(), Instant::now());
        while self.counts().iter().zip(before).any(|(now, before)| *now < before + STEP) {
            if begun.elapsed() > RECOVERY {
                bail!("it does not recover: {before:?} chats and decisions, now {:?}", self.counts());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

/// Loads `cluster`, breaks its parts as planned, and compares.
///
/// # Errors
/// When it cannot be done; what is found to be wrong is in the report.
pub async fn run(cluster: &mut Cluster, plan: &Plan) -> anyhow::Result<Report> {
    let progress = Arc::new(Progress::default());
    let edges = cluster.callers("tentaculo");
    let client = |number| Client::new(&edges, number);
    let (mut chatting, mut asking, mut deciding) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    let readers: Vec<_> = (0..edges.len()).map(|first| events::Reader::begin(&edges, first)).collect();
    for number in 0..CHATTERS {
        chatting.spawn(Chats::collect(client(number), number, progress.clone()));
    }
    for number in 0..AGENTS {
        asking.spawn(Agent::ask(client(number), number, progress.clone()));
    }
    for number in 0..PILOTS {
        deciding.spawn(Pilot::decide(client(number), number, progress.clone()));
    }

    let blows = strike(cluster, plan, &progress).await;
    progress.is_over.store(true, Ordering::Relaxed);
    let chats = chatting.join_all().await;
    let agents = asking.join_all().await;
    progress.is_decided.store(true, Ordering::Relaxed);
    let pilots = deciding.join_all().await;

    let operators = cluster.callers("operator");
    for operator in &operators {
        wait_until("rows that were late are written", async || {
            let ready = send(operator.request(Method::GET, "/ready")).await.ok()?;
            (ready.body["dependencies"]["store"]["status"] == "up").then_some(())
        })
        .await;
    }
    let mut report = Report::new(blows?);
    chats::compare(chats, &operators, &mut report).await?;
    decisions::compare(&agents, &pilots, &operators, &mut report).await?;
    events::compare(readers, &operators, &mut report).await?;
    Ok(report)
}

/// Breaks one part after another; how often.
#[expect(clippy::print_stderr, reason = "whoever looks on, or looks for what went wrong, sees what was broken when")]
async fn strike(cluster: &mut Cluster, plan: &Plan, progress: &Progress) -> anyhow::Result<usize> {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let begun = Instant::now();
    let mut blows = 0;
    progress.moves_on().await.context("before anything was broken")?;
    while blows < plan.blows || begun.elapsed() < plan.time {
        blows += 1;
        let blow = Blow::draw(cluster, &plan.only, &mut rng)?;
        eprintln!("{:>6.1} s  {blow}", begun.elapsed().as_secs_f64());
        blow.strike(cluster).await.with_context(|| blow.to_string())?;
        pause(&mut rng, &plan.away).await;
        blow.mend(cluster).await.with_context(|| format!("{blow}, and back"))?;
        progress.moves_on().await.with_context(|| format!("after blow {blows}: {blow}"))?;
        pause(&mut rng, &plan.between).await;
    }
    Ok(blows)
}

async fn pause(rng: &mut StdRng, range: &Range<u64>) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(range.clone()))).await;
}
