//! The configuration while the gateway runs: it is read again when its file changes or a file that holds a key, and on
//! SIGHUP.
//!
//! Requests under way end on the configuration that they began with. What cannot be used changes nothing: the log and a
//! metric say so, and the configuration in force stays. Variables stay what they were at the start.

mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use vx11_chassis::Shutdown;
use vx11_chassis::config::Common;
use vx11_chassis::process::section;

use crate::accounts::Terms;
use crate::config::SwitchConfig;
use crate::gateway::Shared;
pub(crate) use watched::Watched;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_millis(500);

/// What is in force.
#[derive(Debug)]
pub(crate) struct Current {
    shared: RwLock<Arc<Shared>>,
    version: AtomicU64,
}

impl Current {
    /// In force from the start.
    pub(crate) fn new(shared: Shared) -> Self {
        shared.show();
        Self { shared: RwLock::new(Arc::new(shared)), version: AtomicU64::new(0) }
    }

    /// What is in force now.
    pub(crate) fn get(&self) -> Arc<Shared> {
        self.shared.read().clone()
    }

    /// Changes whenever what is in force does; cheaper to ask for than the thing itself.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn replace(&self, shared: Shared) {
        shared.show();
        *self.shared.write() = Arc::new(shared);
        self.version.fetch_add(1, Ordering::Release);
    }
}

/// Reads it all again whenever that is due, until `shutdown` begins.
pub(crate) async fn watch(current: Arc<Current>, mut common: Common, mut watched: Watched, shutdown: Shutdown) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            tracing::error!(%error, "cannot listen for SIGHUP; the configuration is not read again");
            return;
        }
    };
    loop {
        let asked = tokio::select! {
            () = shutdown.begun() => return,
            hangup = hangup.recv() => hangup.is_some(),
            () = tokio::time::sleep(PERIOD) => false,
        };
        // Looked at before they are read: what changes meanwhile is seen the next time.
        if watched.look() || asked {
            read_again(&current, &mut common, &mut watched).await;
        }
    }
}

async fn read_again(current: &Arc<Current>, common: &mut Common, watched: &mut Watched) {
    let metrics = current.get().metrics.clone();
    let done = put_in_force(current, common, watched).await;
    let file = common.file.as_ref().map(|file| file.display().to_string());
    match done {
        Ok(()) => {
            metrics.reloaded(true);
            tracing::info!(file, "the configuration was read again and is in force");
        }
        Err(error) => {
            metrics.reloaded(false);
            let error = format!("{error:#}");
            tracing::error!(file, error, "the configuration cannot be used; the one before stays");
        }
    }
}

async fn put_in_force(current: &Arc<Current>, common: &mut Common, watched: &mut Watched) -> anyhow::Result<()> {
    let read = common.clone();
    let read = spawn_blocking(move || {
        let settings = read.read_again()?;
        anyhow::Ok((section::<SwitchConfig>(&settings)?, settings.common()?.file))
    });
    let (config, file) = read.await??;
    // One that was not there at the start must not be missing from now on.
    common.file = file;
    // Even where it cannot be used: a file that it names may be what is missing.
    watched.follow(&config, common);
    let (in_force, common) = (current.get(), common.clone());
    // Keys and certificates are read.
    let made = spawn_blocking(move || {
        let accounts = in_force.accounts.clone();
        let terms = Terms::new(&config, &common.secrets, Some(&accounts.terms()))?;
        let shared =
            crate::share(&config, &common, &in_force.metrics, accounts, in_force.desk.clone(), Some(&in_force))?;
        // Each worker makes its own clients, where a failure cannot be reported any more.
        shared.registry.clients(None)?;
        anyhow::Ok((shared, terms))
    });
    let (shared, terms) = made.await??;
    shared.accounts.clone().replace(terms).await?;
    current.replace(shared);
    Ok(())
}
