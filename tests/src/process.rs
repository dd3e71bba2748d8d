//! One real process.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::NamedTempFile;

/// Longest wait for a process to start, or to stop.
const LIMIT: Duration = Duration::from_secs(60);

/// A running program. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    program: String,
    child: Child,
    /// Where it writes: nobody need read along, which would take time from what is measured.
    log: Log,
}

/// A file that stays, or one that goes with the process.
#[derive(Debug)]
enum Log {
    Kept(PathBuf),
    Temporary(NamedTempFile),
}

impl Log {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(file) => file.path(),
        }
    }
}

impl Process {
    /// Starts `program` from the build folder with just these variables (and the ones that every program needs).
    pub fn start(program: &str, env: &BTreeMap<String, String>, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(built(program)?);
        command.args(arguments).env_clear().envs(env);
        Self::spawn(program, command)
    }

    /// Starts any command; `program` is what it is called in messages.
    pub fn spawn(program: &str, command: Command) -> anyhow::Result<Self> {
        let file = NamedTempFile::new()?;
        let stdout = file.reopen()?;
        Self::spawn_into(program, command, Log::Temporary(file), stdout)
    }

    /// Starts `program` from the build folder; what it says, and its complaints, stay in the file `log`. It is killed too
    /// when the thread that starts it ends in whatever way, which dropping cannot promise.
    pub fn start_tied(program: &str, env: &BTreeMap<String, String>, log: &Path) -> anyhow::Result<Self> {
        let stdout = File::create(log)?;
        let mut command = tied(built(program)?);
        command.env_clear().envs(env);
        Self::spawn_into(program, command, Log::Kept(log.to_owned()), stdout)
    }

    fn spawn_into(program: &str, mut command: Command, log: Log, stdout: File) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stderr(match &log {
            Log::Kept(_) => Stdio::from(stdout.try_clone()?),
            Log::Temporary(_) => Stdio::inherit(),
        });
        command.stdout(stdout);
        for inherited in ["PATH", "HOME", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        Ok(Self { program: program.to_owned(), child, log })
    }

    /// The address of each service that says it is listening, once all of `services` have.
    pub fn addresses(&mut self, services: &[&str]) -> anyhow::Result<HashMap<String, String>> {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.listening(services)? {
                return Ok(found);
            }
            if begun.elapsed() > LIMIT {
                bail!("{} does not listen:\n{}", self.program, self.text());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The address of each service that says it is listening, if all of `services` have by now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn listening(&mut self, services: &[&str]) -> anyhow::Result<Option<HashMap<String, String>>> {
        let status = self.child.try_wait()?;
        let found: HashMap<String, String> = self
            .log()
            .iter()
            .filter(|line| line["message"] == "listening")
            .filter_map(|line| Some((line["service"].as_str()?.to_owned(), line["address"].as_str()?.to_owned())))
            .collect();
        if services.iter().all(|service| found.contains_key(*service)) {
            return Ok(Some(found));
        }
        if let Some(status) = status {
            bail!("{} ended with {status} before it listened:\n{}", self.program, self.text());
        }
        Ok(None)
    }

    /// Where its log is.
    pub fn log_file(&self) -> &Path {
        self.log.path()
    }

    /// The lines that are JSON.
    pub fn log(&self) -> Vec<Value> {
        self.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The whole lines on standard output.
    pub fn text(&self) -> String {
        let bytes = std::fs::read(self.log.path()).unwrap_or_default();
        let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    /// Waits until a line on standard output begins with `start`, and answers with the line.
    pub fn line(&mut self, start: &str) -> anyhow::Result<String> {
        let begun = Instant::now();
        loop {
            if let Some(line) = self.text().lines().find(|line| line.starts_with(start)) {
                return Ok(line.to_owned());
            }
            if begun.elapsed() > LIMIT || !self.is_running() {
                bail!("{} does not say `{start}`:\n{}", self.program, self.text());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().try_into()?), signal)?)
    }

    /// Stops it where it is until `SIGCONT`, and waits until every thread has stopped: the signal alone may find one at
    /// work.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)?;
        let begun = Instant::now();
        while !self.is_frozen()? {
            if begun.elapsed() > LIMIT {
                bail!("{} does not freeze", self.program);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn is_frozen(&self) -> anyhow::Result<bool> {
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.id()))? {
            // It may have ended by now.
            let Ok(stat) = std::fs::read_to_string(thread?.path().join("stat")) else { continue };
            // The state stands behind the name, which is in brackets; proc_pid_stat(5).
            if !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends it at once, as a crash does.
    pub fn kill9(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait()
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > LIMIT {
                bail!("{} does not stop:\n{}", self.program, self.text());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command whose process is killed when the thread that starts it ends.
pub(crate) fn tied(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

fn built(program: &str) -> anyhow::Result<PathBuf> {
    let path = binary_dir()?.join(program);
    if !path.exists() {
        bail!("{} is not built: run `cargo build --workspace --bins`", path.display());
    }
    Ok(path)
}

/// Where the programs are: beside the running one.
pub fn binary_dir() -> anyhow::Result<PathBuf> {
    let mut dir = std::env::current_exe()?;
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    Ok(dir)
}

/// Waits until `condition` gives something, for up to a minute; `what` says what was waited for.
pub async fn wait_until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
