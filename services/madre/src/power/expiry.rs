//! What happens by itself: windows close and plans expire when their time is up, also after a restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use vx11_chassis::Shutdown;

use super::{Power, PowerError};
use crate::plans::Plans;
use crate::readiness::Readiness;

/// How often the clock is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Runs until `shutdown` begins. A store that does not answer is tried again at the next tick.
pub(crate) async fn run(power: Power, plans: Plans, readiness: Arc<Readiness>, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_resumed = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.begun() => return,
        }
        if !has_resumed {
            has_resumed = readiness.observe(resume(&power, &plans).await);
        }
        if has_resumed {
            readiness.observe(tick(&power, &plans).await);
        }
    }
}

/// Makes true again what the store says, once after a start.
async fn resume(power: &Power, plans: &Plans) -> Result<(), PowerError> {
    plans.fail_interrupted().await?;
    power.resume_policy().await?;
    power.resume_window().await
}

async fn tick(power: &Power, plans: &Plans) -> Result<(), PowerError> {
    power.close_expired().await?;
    plans.fail_interrupted().await?;
    Ok(plans.expire().await?)
}
