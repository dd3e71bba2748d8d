//! A steady load: so many requests a second are due, whether or not the answers keep up. A request's time counts from
//! when it was due, so that one slow answer is not hidden by the requests that wait behind it.

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep_until};

use crate::load::Conversation;

pub(super) const CLIENTS: u32 = 32;
pub(super) const RATE: u32 = 500;
/// Rounds of each client: each calls everything once.
const ROUNDS: u32 = 75;
/// Of these, so many are not counted: connections open, caches fill.
const WARM: u32 = 10;
const ALL: &str = "/operator/api/interventions";

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Create,
    Detail,
    Decide,
    Page,
    Metrics,
}

impl Call {
    pub(super) const ALL: [Self; 5] = [Self::Create, Self::Detail, Self::Decide, Self::Page, Self::Metrics];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Detail => "detail",
            Self::Decide => "decide",
            Self::Page => "page",
            Self::Metrics => "metrics",
        }
    }

    async fn make(self, conversation: &mut Conversation, id: &str) -> anyhow::Result<bool> {
        Ok(match self {
            Self::Create => conversation.post(ALL, &request(id, "high")).await? == 201,
            Self::Detail => conversation.get(&format!("{ALL}/{id}")).await? == 200,
            Self::Decide => conversation.post(&format!("{ALL}/{id}/approve"), r#"{"version":1}"#).await? == 200,
            Self::Page => conversation.get(ALL).await? == 200,
            Self::Metrics => conversation.get(&format!("{ALL}/metrics")).await? == 200,
        })
    }
}

/// The body of a request that never expires.
pub(super) fn request(id: &str, priority: &str) -> String {
    format!(
        r#"{{"request_id":"{id}","title":"Deploy to production?","priority":"{priority}","expires_in_seconds":0,"action":{{"name":"deploy","args":{{"environment":"production","id":"{id}"}}}}}}"#
    )
}

/// What was seen.
pub(super) struct Steady {
    /// Microseconds, a histogram for each of [`Call::ALL`].
    latencies: Vec<Histogram<u64>>,
    pub(super) errors: u64,
}

impl Steady {
    fn new() -> anyhow::Result<Self> {
        let one = || Histogram::new_with_bounds(1, 60_000_000, 3);
        Ok(Self { latencies: Call::ALL.iter().map(|_| one()).collect::<Result<_, _>>()?, errors: 0 })
    }

    pub(super) fn millis(&self, call: Call, quantile: f64) -> f64 {
        self.latencies[call as usize].value_at_quantile(quantile) as f64 / 1000.0
    }

    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        for (mine, theirs) in self.latencies.iter_mut().zip(&other.latencies) {
            mine.add(theirs)?;
        }
        self.errors += other.errors;
        Ok(())
    }
}

/// Loads the operator at `address`; ids begin with `name`.
pub(super) async fn run(address: &str, name: &str) -> anyhow::Result<Steady> {
    let start = Instant::now() + Duration::from_millis(100);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| tokio::spawn(one(address.to_owned(), format!("{name}-{client}"), start, client)))
        .collect();
    let mut all = Steady::new()?;
    for client in clients {
        all.add(&client.await??)?;
    }
    Ok(all)
}

async fn one(address: String, name: String, start: Instant, client: u32) -> anyhow::Result<Steady> {
    let mut seen = Steady::new()?;
    let mut conversation = Conversation::open(&address).await?;
    // Client after client, so that what is due is spread over time.
    let between = Duration::from_secs(1) * CLIENTS / RATE;
    let mut due = start + between * client / CLIENTS;
    for round in 0..ROUNDS {
        let id = format!("{name}-{round}");
        for call in Call::ALL {
            sleep_until(due).await;
            let is_right = call.make(&mut conversation, &id).await?;
            if round >= WARM {
                seen.latencies[call as usize].record(due.elapsed().as_micros().max(1) as u64)?;
            }
            seen.errors += u64::from(!is_right);
            due += between;
        }
    }
    Ok(seen)
}
