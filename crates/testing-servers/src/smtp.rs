//! A real mail server for tests.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Python's `aiosmtpd`, which `tests/prepare.sh` installs, on the loopback interface. It stops when this is dropped, and
/// what it took stays.
#[derive(Debug)]
pub struct SmtpServer {
    child: Child,
    mailbox: PathBuf,
}

impl SmtpServer {
    /// One on `port` that appends what it takes to the file `mailbox`. What `options` there are says
    /// `tests/python/smtp_server.py`.
    ///
    /// # Panics
    /// When there is none to start.
    pub fn start(port: u16, mailbox: &Path, options: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/smtp_server.py");
        let mut child = Command::new(cache().join("smtp/bin/python"))
            .arg(script)
            .arg(port.to_string())
            .arg(mailbox)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/prepare.sh installs it");
        let mut said = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut said).expect("a line");
        assert_eq!(said.trim(), "ready", "the mail server does not start");
        Self { child, mailbox: mailbox.to_owned() }
    }

    /// What it has taken, each a line of JSON: `from`, `to`, `tls`, `user` and `data`.
    ///
    /// # Panics
    /// When that cannot be read.
    pub fn taken(&self) -> Vec<String> {
        match std::fs::read_to_string(&self.mailbox) {
            Ok(text) => text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect(),
            Err(_) => Vec::new(),
        }
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `tests/prepare.sh` keeps what it installs.
fn cache() -> PathBuf {
    match std::env::var_os("VX11_TEST_CACHE") {
        Some(folder) => folder.into(),
        None => PathBuf::from(std::env::var_os("HOME").expect("a home directory")).join(".cache/vx11"),
    }
}
