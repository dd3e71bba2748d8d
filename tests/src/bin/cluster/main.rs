//! `cluster` starts a cluster to play with, and obeys what it reads, a line at a time; `help` lists it. `cluster check`
//! breaks one part after another under load and says whether anything that was acknowledged is lost or doubled.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use vx11_tests::TOKEN;
use vx11_tests::cluster::{Cluster, Order};
use vx11_tests::history::{self, Plan};

/// Any number of replicas of every service, on PostgreSQL and Redis: to play with, or to be checked.
#[derive(Debug, Parser)]
struct Arguments {
    /// Replicas of every service.
    #[arg(long, default_value_t = 2, global = true)]
    replicas: usize,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load it, break one part after another, and compare what clients were told with what is kept.
    Check {
        /// How long.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// What the schedule is drawn from; any, where none is given.
        #[arg(long)]
        seed: Option<u64>,
        /// What is broken: a part, a service, or everything.
        #[arg(long, default_value = "*")]
        only: String,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir().context("a directory for data and logs")?;
    let mut terminate = signal(SignalKind::terminate())?;
    let work = async {
        match arguments.command {
            None => play(arguments.replicas, dir.path()).await,
            Some(Command::Check { minutes, seed, only }) => {
                check(arguments.replicas, minutes, seed, only, dir.path()).await
            }
        }
    };
    let ended = tokio::select! {
        ended = work => ended,
        _ = tokio::signal::ctrl_c() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    if ended.is_err() {
        eprintln!("data and logs: {}", dir.keep().display());
    }
    ended
}

async fn check(replicas: usize, minutes: u64, seed: Option<u64>, only: String, dir: &Path) -> anyhow::Result<()> {
    let seed = seed.unwrap_or_else(rand::random);
    println!("cluster check --replicas {replicas} --minutes {minutes} --seed {seed} --only '{only}'");
    let mut cluster = Cluster::start(replicas, dir, &history::VARIABLES).await?;
    let time = Duration::from_secs(60 * minutes);
    let plan = Plan { seed, only, blows: 0, time, away: 200..4000, between: 500..3000 };
    let report = history::run(&mut cluster, &plan).await?;
    println!("{report}");
    if !report.is_clean() {
        bail!("what was acknowledged is not what is kept");
    }
    Ok(())
}

async fn play(replicas: usize, dir: &Path) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(replicas, dir, &[]).await?;
    println!("{}token: {TOKEN}\nsay `help`", cluster.status());
    let mut lines = lines();
    loop {
        print!("> ");
        std::io::stdout().flush()?;
        let Some(line) = lines.recv().await else { return Ok(()) };
        if line.trim().is_empty() {
            continue;
        }
        match Order::parse(&line) {
            Ok(Order::Quit) => return Ok(()),
            Ok(order) => match cluster.obey(&order).await {
                Ok(said) => print!("{said}"),
                Err(error) => println!("{error:#}"),
            },
            Err(error) => println!("{error:#}"),
        }
    }
}

/// The lines of standard input. A thread waits for them, because reading them cannot be called off.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
