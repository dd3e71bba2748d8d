//! Any number of replicas of every service, on PostgreSQL and Redis, as real processes on loopback, with a [`Link`]
//! between any two that talk: every process can be killed, paused and started again, every connection slowed, cut and
//! healed, by name.
//!
//! A name is that of a part (`operator-2`, `postgres`), that of a service for all its replicas (`operator`), or `*`.

mod fault;
mod link;
mod order;
mod part;
mod wiring;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use vx11_testing_servers::{Postgres, lasting_port};

pub use fault::{Fault, Ways};
pub use link::Link;
pub use order::{Act, Order};
pub use part::{Part, State};

use crate::{Caller, Redis, TOKEN, base_env};
use wiring::{POSTGRES, REDIS, SERVICES};

/// A running cluster. Its processes end with it, however it ends.
#[derive(Debug)]
pub struct Cluster {
    parts: BTreeMap<String, Part>,
    /// By who calls and who is called.
    links: BTreeMap<(String, String), Link>,
    replicas: usize,
}

impl Cluster {
    /// Starts `replicas` of every service, with more variables, their data and logs in `dir`.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(replicas: usize, dir: &Path, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        ensure!(replicas > 0, "a cluster has one replica at least");
        let (postgres, redis) = (Postgres::durable(), Redis::start().await?);
        let database = postgres.new_database().replace(&format!(":{}/", postgres.port()), ":{port}/");
        let mut parts =
            BTreeMap::from([(POSTGRES.to_owned(), Part::postgres(postgres)), (REDIS.to_owned(), Part::redis(redis))]);
        for service in SERVICES.map(|(service, _)| service) {
            for name in wiring::replicas_of(service, replicas) {
                let mut env = base_env(&dir.join(&name));
                // As where there are replicas: who stops says so before it does.
                env.insert("VX11_HTTP__SHUTDOWN_DELAY".to_owned(), "1s".to_owned());
                env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
                parts.insert(name.clone(), Part::service(service, lasting_port(), env, dir.join(&name)));
            }
        }
        let mut cluster = Self { parts, links: BTreeMap::new(), replicas };
        // Services call each other in a circle, so all links are there before the first of them.
        for (service, called) in SERVICES {
            for name in wiring::replicas_of(service, replicas) {
                let env = cluster.link(&name, called, &database).await?;
                cluster.part(&name)?.tell(env);
            }
        }
        for service in SERVICES.map(|(service, _)| service) {
            for name in wiring::replicas_of(service, replicas) {
                cluster.start_again(&name).await?;
            }
        }
        Ok(cluster)
    }

    /// Opens the links of `caller` to these services, and answers with the variables that lead to them.
    async fn link(
        &mut self,
        caller: &str,
        services: &[&str],
        database: &str,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let mut env = BTreeMap::new();
        for service in services {
            let mut ports = Vec::new();
            for called in wiring::called_by(caller, service, self.replicas) {
                let link = Link::open(self.part(&called)?.port()).await?;
                ports.push(link.port());
                self.links.insert((caller.to_owned(), called), link);
            }
            let first = ports.first().context("a replica")?;
            match *service {
                POSTGRES => {
                    drop(env.insert("VX11_DATABASE_URL".to_owned(), database.replace("{port}", &first.to_string())))
                }
                REDIS => drop(env.insert("VX11_REDIS_URL".to_owned(), format!("redis://127.0.0.1:{first}"))),
                _ => env.extend([wiring::variable(service, &ports)]),
            }
        }
        Ok(env)
    }

    /// Who calls and who is called, of each link to what `called` means.
    pub(crate) fn links_to(&self, called: &str) -> Vec<(String, String)> {
        self.links.keys().filter(|(_, part)| is_meant(called, part)).cloned().collect()
    }

    /// The part called `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn part(&mut self, name: &str) -> anyhow::Result<&mut Part> {
        self.parts.get_mut(name).with_context(|| format!("there is no `{name}`"))
    }

    /// Calls each replica of `service` itself, past the links.
    pub fn callers(&self, service: &str) -> Vec<Caller> {
        let ports = wiring::replicas_of(service, self.replicas).into_iter().map(|name| self.parts[&name].port());
        ports.map(|port| Caller::new(format!("http://127.0.0.1:{port}"), Some(TOKEN))).collect()
    }

    /// Ends `name` at once, as a crash does.
    ///
    /// # Errors
    /// When it is down.
    pub async fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        self.part(name)?.kill()?;
        self.reachable(name, false).await
    }

    /// Asks `name` to stop, and waits until it has.
    ///
    /// # Errors
    /// When it does not.
    pub async fn end(&mut self, name: &str) -> anyhow::Result<()> {
        self.part(name)?.end().await?;
        self.reachable(name, false).await
    }

    /// Stops `name` where it is.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&mut self, name: &str) -> anyhow::Result<()> {
        self.part(name)?.pause()
    }

    /// Lets `name` go on.
    ///
    /// # Errors
    /// When it is not paused.
    pub fn resume(&mut self, name: &str) -> anyhow::Result<()> {
        self.part(name)?.resume()
    }

    /// Starts `name`, on its port and with its data, and waits until it listens.
    ///
    /// # Errors
    /// When it runs already, or does not start.
    pub async fn start_again(&mut self, name: &str) -> anyhow::Result<()> {
        self.part(name)?.start().await?;
        self.reachable(name, true).await
    }

    /// Who calls a part that is not there is refused by the link as by the part itself.
    async fn reachable(&mut self, name: &str, is_there: bool) -> anyhow::Result<()> {
        for ((_, called), link) in &mut self.links {
            if called == name {
                link.target_is_down(!is_there).await?;
            }
        }
        Ok(())
    }

    /// Breaks or mends every link from `caller` to `called`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn set(&mut self, caller: &str, called: &str, fault: Option<Fault>) -> anyhow::Result<()> {
        let mut found = false;
        for ((from, to), link) in &mut self.links {
            if is_meant(caller, from) && is_meant(called, to) {
                found = true;
                link.set(fault).await?;
            }
        }
        ensure!(found, "nothing called `{caller}` calls anything called `{called}`");
        Ok(())
    }

    /// The parts that `name` means.
    pub(crate) fn meant(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let meant: Vec<String> = self.parts.keys().filter(|part| is_meant(name, part)).cloned().collect();
        ensure!(!meant.is_empty(), "there is no `{name}`");
        Ok(meant)
    }

    /// Every part and every link that is not as it should be, as a table.
    pub fn status(&mut self) -> String {
        let mut text = String::new();
        for (name, part) in &mut self.parts {
            let id = part.id().map(|id| id.to_string()).unwrap_or_default();
            let log = part.log_file().as_deref().map(Path::display).map(|log| log.to_string()).unwrap_or_default();
            let _ = writeln!(
                text,
                "{name:<14} {:<7} {id:>8}  127.0.0.1:{:<5}  {log}",
                part.state().to_string(),
                part.port()
            );
        }
        for ((caller, called), link) in &self.links {
            if let Some(fault) = link.fault() {
                let _ = writeln!(text, "{caller} -> {called}: {fault}");
            }
        }
        text
    }
}

/// Whether `name` means `part`.
fn is_meant(name: &str, part: &str) -> bool {
    name == "*" || name == part || part.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
}
