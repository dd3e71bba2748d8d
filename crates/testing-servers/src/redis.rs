//! A real Redis.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::lasting_port;

/// Debian's `redis-server`, which `tests/prepare.sh` installs, on a port and in a directory of its own. It keeps what it
/// is told, also when it is killed.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    options: Vec<String>,
    home: TempDir,
    process: Child,
}

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    /// When there is none to start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(|port| vec!["--port".to_owned(), port.to_string()])
    }

    /// Starts one with these options, which have it listen on the port.
    ///
    /// # Panics
    /// When there is none to start.
    pub fn start_with(options: impl FnOnce(u16) -> Vec<String>) -> Self {
        let (port, home) = (lasting_port(), home());
        let options = options(port);
        let process = run(port, &options, &home);
        Self { port, options, home, process }
    }

    /// Ends it as a crash would.
    ///
    /// # Panics
    /// When it has ended before.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Starts it again, with what it had written.
    ///
    /// # Panics
    /// When it does not start.
    pub fn come_back(&mut self) {
        self.process = run(self.port, &self.options, &self.home);
    }

    /// Starts it again, with nothing.
    ///
    /// # Panics
    /// When it does not start.
    pub fn come_back_empty(&mut self) {
        self.home = home();
        self.come_back();
    }

    /// What it answers to a command of plain words.
    ///
    /// # Panics
    /// When there is no `redis-cli`.
    pub fn command(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output();
        String::from_utf8_lossy(&output.expect("redis-cli").stdout).trim_end().to_owned()
    }

    /// Its port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Returns when it listens.
fn run(port: u16, options: &[String], home: &TempDir) -> Child {
    let mut process = Command::new("redis-server")
        .args(options)
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(home.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("tests/prepare.sh installs redis-server");
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(process.try_wait().expect("a child").is_none(), "Redis ended: {options:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    process
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
