//! The five processes, wired to each other.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;

use crate::{Caller, Process};

/// The token of every test.
pub const TOKEN: &str = "test-token";

/// Services in the order in which they start: who is called starts before who calls.
const ORDER: [&str; 5] = ["mock-provider", "switch", "madre", "operator", "tentaculo"];

/// Five processes, each with a data directory of its own.
#[derive(Debug)]
pub struct Chain {
    data: TempDir,
    extra: BTreeMap<String, String>,
    running: BTreeMap<&'static str, Process>,
    addresses: BTreeMap<&'static str, String>,
}

/// The variables of a process that listens on free ports.
pub fn base_env(data: &Path) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([
        ("VX11_TOKEN".to_owned(), TOKEN.to_owned()),
        ("VX11_DATA_DIR".to_owned(), data.display().to_string()),
        ("VX11_LOG_FORMAT".to_owned(), "json".to_owned()),
    ]);
    for service in ORDER {
        env.insert(format!("VX11_{}__BIND", upper(service)), "127.0.0.1:0".to_owned());
    }
    env
}

impl Chain {
    /// Starts all five.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts all five with more variables, which every process gets. `{service}` in a value stands for the address of
    /// one that is started before.
    pub fn start_with(extra: &[(&str, &str)]) -> anyhow::Result<Self> {
        let extra = extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        // madre calls the operator too, and starts before it.
        let operator = format!("127.0.0.1:{}", vx11_testing_servers::lasting_port());
        let addresses = BTreeMap::from([("operator", operator)]);
        let mut chain = Self { data: TempDir::new()?, extra, running: BTreeMap::new(), addresses };
        for service in ORDER {
            chain.launch(service)?;
        }
        Ok(chain)
    }

    /// Starts `service` again, on the port and the data directory that it had.
    pub fn restart(&mut self, service: &'static str) -> anyhow::Result<()> {
        self.launch(service)
    }

    /// Ends `service` at once.
    pub fn kill9(&mut self, service: &'static str) -> anyhow::Result<()> {
        self.running.remove(service).context("it does not run")?.kill9()
    }

    /// Ends `service` and starts it again by `wrap`, a shell line in which `exec` is followed by the program.
    pub fn restart_wrapped(&mut self, service: &'static str, wrap: &str) -> anyhow::Result<()> {
        self.process(service).terminate()?;
        let program = crate::binary_dir()?.join(service);
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &format!("{wrap} exec {}", program.display())]).env_clear().envs(self.env(service));
        let mut process = Process::spawn(service, command)?;
        process.addresses(&[service])?;
        self.running.insert(service, process);
        Ok(())
    }

    fn launch(&mut self, service: &'static str) -> anyhow::Result<()> {
        let mut process = Process::start(service, &self.env(service), &[])?;
        let address = process.addresses(&[service])?.remove(service).context("no address")?;
        self.addresses.insert(service, address);
        self.running.insert(service, process);
        Ok(())
    }

    fn env(&self, service: &str) -> BTreeMap<String, String> {
        let mut env = base_env(&self.data_dir(service));
        env.extend(self.extra.clone());
        for (name, address) in &self.addresses {
            for value in env.values_mut() {
                *value = value.replace(&format!("{{{name}}}"), address);
            }
            env.insert(format!("VX11_{}_URL", upper(name)), format!("http://{address}"));
        }
        // It may be started again, at the address that the others know.
        let address = self.addresses.get(service).cloned();
        let address = address.unwrap_or_else(|| format!("127.0.0.1:{}", vx11_testing_servers::lasting_port()));
        env.insert(format!("VX11_{}__BIND", upper(service)), address);
        env
    }

    /// Where `service` keeps its data.
    pub fn data_dir(&self, service: &str) -> std::path::PathBuf {
        self.data.path().join(service)
    }

    /// The process of `service`.
    pub fn process(&mut self, service: &str) -> &mut Process {
        self.running.get_mut(service).expect("the service runs")
    }

    /// The address of `service`, such as `127.0.0.1:40123`.
    pub fn address(&self, service: &str) -> &str {
        &self.addresses[service]
    }

    /// Calls `service` itself.
    pub fn call(&self, service: &str) -> Caller {
        Caller::new(format!("http://{}", self.addresses[service]), Some(TOKEN))
    }

    /// Calls the edge.
    pub fn edge(&self) -> Caller {
        self.call("tentaculo")
    }
}

pub(crate) fn upper(service: &str) -> String {
    service.replace('-', "_").to_uppercase()
}
