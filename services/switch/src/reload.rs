//! The configuration while the gateway runs: the file is read again when it changes, and on SIGHUP.
//!
//! Requests under way end on the configuration that they began with. A file that cannot be used changes nothing: the
//! log and a metric say so, and the configuration in force stays. Where there is no file there is nothing to read
//! again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use tokio::signal::unix::{SignalKind, signal};
use vx11_chassis::Shutdown;
use vx11_chassis::config::Common;
use vx11_chassis::process::section;

use crate::accounts::Terms;
use crate::config::SwitchConfig;
use crate::gateway::Shared;

/// How often the file is looked at.
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

/// Reads the file again whenever that is due, until `shutdown` begins.
pub(crate) async fn watch(current: Arc<Current>, common: Common, shutdown: Shutdown) {
    let Some(file) = common.file.clone() else { return };
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            tracing::error!(%error, "cannot listen for SIGHUP; the configuration is not read again");
            return;
        }
    };
    let mut seen = stamp(&file);
    loop {
        let asked = tokio::select! {
            () = shutdown.begun() => return,
            hangup = hangup.recv() => hangup.is_some(),
            () = tokio::time::sleep(PERIOD) => false,
        };
        let now = stamp(&file);
        if asked || now != seen {
            seen = now;
            read_again(&current, &common, &file).await;
        }
    }
}

async fn read_again(current: &Arc<Current>, common: &Common, file: &Path) {
    let in_force = current.get();
    let metrics = in_force.metrics.clone();
    let common = common.clone();
    // Files and certificates are read.
    let read = tokio::task::spawn_blocking(move || {
        let config: SwitchConfig = section(&common.read_again()?)?;
        let accounts = in_force.accounts.clone();
        let terms = Terms::new(&config, &common.secrets, Some(&accounts.terms()))?;
        let shared = crate::share(&config, &common, &in_force.metrics, accounts, Some(&in_force))?;
        // Each worker makes its own clients, where a failure cannot be reported any more.
        shared.registry.clients(None)?;
        Ok((shared, terms))
    });
    let read = match read.await.map_err(anyhow::Error::from).and_then(|read| read) {
        Ok((shared, terms)) => shared.accounts.clone().replace(terms).await.map(|()| shared),
        Err(error) => Err(error),
    };
    match read {
        Ok(shared) => {
            current.replace(shared);
            metrics.reloaded(true);
            tracing::info!(file = %file.display(), "the configuration was read again and is in force");
        }
        Err(error) => {
            metrics.reloaded(false);
            let error = format!("{error:#}");
            tracing::error!(file = %file.display(), error, "the configuration cannot be used; the one before stays");
        }
    }
}

/// What tells one state of a file from another.
fn stamp(file: &PathBuf) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
