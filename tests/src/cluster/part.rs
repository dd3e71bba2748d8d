//! One process of a cluster, of whatever kind: a service, PostgreSQL or Redis.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use vx11_testing_servers::Postgres;

use crate::chain::upper;
use crate::{Process, Redis};

/// Longest wait for a service to listen or to stop.
const LIMIT: Duration = Duration::from_secs(60);

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Runs,
    /// It is stopped where it is.
    Paused,
    /// There is no process.
    Down,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runs => "runs",
            Self::Paused => "paused",
            Self::Down => "down",
        })
    }
}

/// One part of a cluster.
#[derive(Debug)]
pub struct Part {
    state: State,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Postgres(Postgres),
    Redis(Redis),
    Service(Service),
}

/// A service's process, and what it takes to start it again.
#[derive(Debug)]
struct Service {
    program: &'static str,
    port: u16,
    env: BTreeMap<String, String>,
    /// The first part of its logs' names.
    logs: PathBuf,
    /// How often it was started.
    lives: u32,
    process: Option<Process>,
}

impl Part {
    pub(super) fn postgres(postgres: Postgres) -> Self {
        Self { state: State::Runs, kind: Kind::Postgres(postgres) }
    }

    pub(super) fn redis(redis: Redis) -> Self {
        Self { state: State::Runs, kind: Kind::Redis(redis) }
    }

    /// A service that is not started yet.
    pub(super) fn service(program: &'static str, port: u16, env: BTreeMap<String, String>, logs: PathBuf) -> Self {
        let bind = (format!("VX11_{}__BIND", upper(program)), format!("127.0.0.1:{port}"));
        let mut service = Service { program, port, env, logs, lives: 0, process: None };
        service.env.extend([bind]);
        Self { state: State::Down, kind: Kind::Service(service) }
    }

    /// Gives a service more variables, for when it is started.
    pub(super) fn tell(&mut self, more: BTreeMap<String, String>) {
        if let Kind::Service(service) = &mut self.kind {
            service.env.extend(more);
        }
    }

    /// How it is, as far as it was told; a service that ended by itself is down.
    pub fn state(&mut self) -> State {
        if let Kind::Service(service) = &mut self.kind
            && !service.process.as_mut().is_some_and(Process::is_running)
        {
            self.state = State::Down;
        }
        self.state
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        match &self.kind {
            Kind::Postgres(postgres) => postgres.port(),
            Kind::Redis(redis) => redis.port(),
            Kind::Service(service) => service.port,
        }
    }

    /// The process id.
    pub fn id(&mut self) -> Option<u32> {
        match &mut self.kind {
            _ if self.state == State::Down => None,
            Kind::Postgres(postgres) => Some(postgres.id()),
            _ => self.process().map(|process| process.id()),
        }
    }

    /// The log of its present life, or of its last one; PostgreSQL keeps none.
    pub fn log_file(&mut self) -> Option<PathBuf> {
        match &self.kind {
            Kind::Service(service) => Some(service.log()),
            _ => self.process().map(|process| process.log_file().to_owned()),
        }
    }

    fn process(&mut self) -> Option<&mut Process> {
        match &mut self.kind {
            Kind::Postgres(_) => None,
            Kind::Redis(redis) => redis.process(),
            Kind::Service(service) => service.process.as_mut(),
        }
    }

    /// Ends it at once, as a crash does.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        ensure!(self.state() != State::Down, "it is down");
        match &mut self.kind {
            Kind::Postgres(postgres) => postgres.crash(),
            Kind::Redis(redis) => redis.kill9()?,
            Kind::Service(service) => service.process.take().map_or(Ok(()), Process::kill9)?,
        }
        self.state = State::Down;
        Ok(())
    }

    /// Stops it where it is.
    pub(super) fn pause(&mut self) -> anyhow::Result<()> {
        ensure!(self.state() == State::Runs, "it is {}", self.state);
        match &mut self.kind {
            Kind::Postgres(postgres) => postgres.freeze(),
            _ => self.process().context("it is down")?.freeze()?,
        }
        self.state = State::Paused;
        Ok(())
    }

    /// Lets it go on.
    pub(super) fn resume(&mut self) -> anyhow::Result<()> {
        ensure!(self.state() == State::Paused, "it is {}", self.state);
        match &mut self.kind {
            Kind::Postgres(postgres) => postgres.thaw(),
            _ => self.process().context("it is down")?.signal(Signal::SIGCONT)?,
        }
        self.state = State::Runs;
        Ok(())
    }

    /// Asks it to stop, and waits until it has; PostgreSQL and Redis are killed.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        ensure!(self.state() == State::Runs, "it is {}", self.state);
        let Kind::Service(service) = &mut self.kind else { return self.kill() };
        let process = service.process.as_mut().context("it is down")?;
        process.signal(Signal::SIGTERM)?;
        let ended = within("stops", || Ok((!process.is_running()).then_some(())));
        ended.await.with_context(|| service.log().display().to_string())?;
        service.process = None;
        self.state = State::Down;
        Ok(())
    }

    /// Starts it again, and waits until it listens.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.state() == State::Down, "it is {}", self.state);
        match &mut self.kind {
            Kind::Postgres(postgres) => postgres.come_back(),
            Kind::Redis(redis) => redis.come_back().await?,
            Kind::Service(service) => service.start().await?,
        }
        self.state = State::Runs;
        Ok(())
    }
}

impl Service {
    fn log(&self) -> PathBuf {
        let name = self.logs.file_name().unwrap_or_default().to_string_lossy();
        self.logs.with_file_name(format!("{name}.{}.log", self.lives))
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        self.lives += 1;
        let log = self.log();
        let process = self.process.insert(Process::start_tied(self.program, &self.env, Path::new(&log))?);
        within("listens", || process.listening(&[self.program])).await.with_context(|| log.display().to_string())?;
        Ok(())
    }
}

/// Waits until `condition` gives something.
async fn within<T>(what: &str, mut condition: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let waiting = async {
        loop {
            match condition()? {
                Some(found) => return Ok(found),
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.with_context(|| format!("waited in vain until it {what}"))?
}
