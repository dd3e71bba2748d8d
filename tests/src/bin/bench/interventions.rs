//! What people decide, at a steady load while there are many: asking, looking, deciding, the page of what waits and the
//! metrics, with ten thousand requests kept and with a million; on SQLite and on PostgreSQL, which syncs.
//!
//! Then ten thousand sockets on one operator: what each takes, and how long a push needs to all of them.

mod fill;
mod sockets;
mod steady;

use std::collections::BTreeMap;

use tempfile::TempDir;
use vx11_testing_servers::Postgres;
use vx11_tests::{Process, base_env};

use crate::report::{Bound, judge};
use fill::Place;
use steady::{Call, Steady};

const FEW: u64 = 10_000;
const MANY: u64 = 1_000_000;

/// What is aimed at, on two cores with the load and the database beside it.
mod targets {
    pub(crate) const P95_MS: f64 = 5.0;
    /// The median with many by that with few: what is flat, and the noise of two measurements.
    pub(crate) const GROWTH: f64 = 1.5;
}

pub(crate) async fn run() -> anyhow::Result<()> {
    let postgres = Postgres::durable();
    for place in [Place::Sqlite(TempDir::new()?), Place::Postgres(postgres.new_database())] {
        kept(&place).await?;
    }
    sockets::run().await
}

/// An operator, its database and its address.
struct Operator {
    process: Process,
    address: String,
    _dir: TempDir,
}

impl Operator {
    fn start(more: &[(&str, String)]) -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        let mut env: BTreeMap<String, String> = base_env(dir.path());
        env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let mut process = Process::start("operator", &env, &[])?;
        let address = process.addresses(&["operator"])?.remove("operator").unwrap_or_default();
        Ok(Self { process, address, _dir: dir })
    }
}

async fn kept(place: &Place) -> anyhow::Result<()> {
    let operator = Operator::start(&place.variables())?;
    fill::ask_for_templates(&operator.address).await?;
    place.fill(0..FEW)?;
    let few = steady::run(&operator.address, "few").await?;
    place.fill(FEW..MANY)?;
    let many = steady::run(&operator.address, "many").await?;
    println!("\ninterventions on {}: {} requests/s from {} clients", place.name(), steady::RATE, steady::CLIENTS);
    println!("{:<10} {:>22} {:>22}", "", "p50, p95 ms at 10,000", "p50, p95 ms at 1,000,000");
    for call in Call::ALL {
        let of = |seen: &Steady| format!("{:.2}, {:.2}", seen.millis(call, 0.5), seen.millis(call, 0.95));
        println!("{:<10} {:>22} {:>22}", call.as_str(), of(&few), of(&many));
    }
    for call in Call::ALL {
        let what = |what| format!("{} on {}, {what}", call.as_str(), place.name());
        judge(&what("p95 ms"), many.millis(call, 0.95), targets::P95_MS, Bound::AtMost);
        judge(&what("growth"), many.millis(call, 0.5) / few.millis(call, 0.5), targets::GROWTH, Bound::AtMost);
    }
    judge(&format!("errors on {}", place.name()), (few.errors + many.errors) as f64, 0.0, Bound::AtMost);
    Ok(())
}
