//! One thing that goes wrong, and is set right again.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::cluster::{Act, Cluster, Fault, Order, Ways};

/// What goes wrong: of one part, or of one connection.
#[derive(Clone, Debug)]
pub(super) struct Blow {
    strike: Order,
    mend: Order,
}

impl Blow {
    /// The next of the schedule: mostly a part that is killed, paused or ended, else a connection that fails. `only` those
    /// of this name are met, and connections to them.
    pub(super) fn draw(cluster: &Cluster, only: &str, rng: &mut StdRng) -> anyhow::Result<Self> {
        let act = match rng.random_range(0..10) {
            0..4 => Act::Kill,
            4..7 => Act::Pause,
            7 => Act::End,
            _ => return Self::of_a_link(cluster, only, rng),
        };
        let part = cluster.meant(only)?.choose(rng).context("a part")?.clone();
        let back = if act == Act::Pause { Act::Resume } else { Act::Start };
        Ok(Self { strike: Order::Part(act, part.clone()), mend: Order::Part(back, part) })
    }

    fn of_a_link(cluster: &Cluster, only: &str, rng: &mut StdRng) -> anyhow::Result<Self> {
        let (caller, called) = cluster.links_to(only).choose(rng).context("a link")?.clone();
        let faults = [
            Fault::Cut,
            Fault::Stall(Ways::Both),
            Fault::Stall(Ways::To),
            Fault::Stall(Ways::Back),
            Fault::Slow(Duration::from_millis(300)),
            Fault::Lossy(20),
        ];
        let fault = *faults.choose(rng).context("a fault")?;
        let strike = Order::Link(Some(fault), caller.clone(), called.clone());
        Ok(Self { strike, mend: Order::Link(None, caller, called) })
    }

    pub(super) async fn strike(&self, cluster: &mut Cluster) -> anyhow::Result<()> {
        cluster.obey(&self.strike).await.map(drop)
    }

    pub(super) async fn mend(&self, cluster: &mut Cluster) -> anyhow::Result<()> {
        cluster.obey(&self.mend).await.map(drop)
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.strike {
            Order::Part(act, part) => write!(f, "{part}: {act:?}"),
            Order::Link(Some(fault), caller, called) => write!(f, "{caller} -> {called}: {fault}"),
            other => write!(f, "{other:?}"),
        }
    }
}
