//! A real Redis.

use std::process::Command;

use tempfile::TempDir;

use crate::process::tied;
use crate::{Process, wait_until};

/// Debian's `redis-server` on a port and in a directory of its own; `tests/prepare.sh` installs it. It keeps what it is
/// told, also when it is killed.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    home: TempDir,
    process: Option<Process>,
}

impl Redis {
    /// Starts one, and waits until it answers.
    pub async fn start() -> anyhow::Result<Self> {
        let mut redis = Self { port: vx11_testing_servers::lasting_port(), home: TempDir::new()?, process: None };
        redis.come_back().await?;
        Ok(redis)
    }

    /// Ends it at once, as a crash does.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), Process::kill9)
    }

    /// Starts it again on its port, with what it had been told.
    pub async fn come_back(&mut self) -> anyhow::Result<()> {
        let mut command = tied("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(self.home.path());
        let mut process = Process::spawn("redis-server", command)?;
        wait_until("Redis answers", async || {
            assert!(process.is_running(), "Redis ended:\n{}", process.text());
            (self.command(&["PING"]) == "PONG").then_some(())
        })
        .await;
        self.process = Some(process);
        Ok(())
    }

    /// What Redis answers to a command of plain words; empty where it does not.
    pub fn command(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        text.unwrap_or_default()
    }

    /// Its process, while it runs.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Where it listens, on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}
