//! A real PostgreSQL for the tests of one binary.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use crate::lasting_port;

/// Debian's `postgresql`, which `tests/prepare.sh` installs, on a port and in a directory of its own. It is stopped, and
/// its directory removed, when the process that started it ends in whatever way.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    databases: AtomicU32,
    supervisor: Mutex<Supervisor>,
}

/// It stops the server where its own standard input ends.
#[derive(Debug)]
struct Supervisor {
    _process: Child,
    /// Of the server.
    id: u32,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Supervisor {
    /// Waits for the answer to what it was told.
    fn hear(&mut self) {
        let mut said = String::new();
        self.answers.read_line(&mut said).expect("a line");
        self.id = said.trim().parse().expect("PostgreSQL does not start; tests/prepare.sh installs it");
    }
}

/// Who serves is no superuser: those are above row-level security.
const USER: &str = "vx11";
const SUPERUSER: &str = "postgres";

/// The server refuses to be root; then it is the user that its package made. Each line that it is told is done and
/// answered, with the server's process id.
const SUPERVISOR: &str = r#"
set -eu
port=$1
fsync=$2
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
PATH=${bin:+$bin:}$PATH
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
as=
if [ "$(id -u)" = 0 ]; then
  chown postgres: "$home"
  as='setpriv --reuid=postgres --regid=postgres --clear-groups'
fi
cd "$home"
$as initdb -D "$home/data" -U postgres --auth=trust --no-sync -E UTF8 --locale=C >"$home/log" 2>&1 || { cat "$home/log" >&2; exit 1; }
serve() {
  $as postgres -D "$home/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c fsync="$fsync" -c max_connections=400 -c log_min_messages=fatal >"$home/log" 2>&1 </dev/null &
  server=$!
  until psql -h 127.0.0.1 -p "$port" -U postgres -qAt -c 'SELECT 1' >/dev/null 2>&1; do
    kill -0 $server || { cat "$home/log" >&2; exit 1; }
    sleep 0.05
  done
}
# Itself first, so that it makes no more of them.
freeze() { kill -STOP $server && kill -STOP $(cat /proc/$server/task/$server/children); }
thaw() { kill -CONT $server $(cat /proc/$server/task/$server/children); }
# What was not written yet is recovered from its log when it starts again, as after a crash.
crash() { thaw; kill -QUIT $server; wait $server || true; }
serve
psql -h 127.0.0.1 -p "$port" -U postgres -qAt -c 'CREATE ROLE vx11 LOGIN' >/dev/null
echo $server
while read -r order; do
  $order 2>/dev/null || true
  echo $server
done
thaw 2>/dev/null || true
kill -INT $server 2>/dev/null || true
wait $server || true
"#;

impl Postgres {
    /// The server of this process; the first to ask starts it.
    ///
    /// # Panics
    /// When there is none to start.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        SERVER.get_or_init(|| Self::start("off"))
    }

    /// One that syncs what it commits, as it does where it is relied upon.
    ///
    /// # Panics
    /// When there is none to start.
    pub fn durable() -> Self {
        Self::start("on")
    }

    fn start(fsync: &str) -> Self {
        let port = lasting_port();
        let mut process = Command::new("sh")
            .args(["-c", SUPERVISOR, "postgres", &port.to_string(), fsync])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let orders = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut supervisor = Supervisor { _process: process, id: 0, orders, answers };
        supervisor.hear();
        Self { port, databases: AtomicU32::new(0), supervisor: Mutex::new(supervisor) }
    }

    /// Where it listens, on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of its main process.
    pub fn id(&self) -> u32 {
        self.supervisor().id
    }

    /// Ends it at once: what it has committed is recovered when it [comes back](Self::come_back).
    pub fn crash(&self) {
        self.order("crash");
    }

    /// Starts it again after a crash, and waits until it answers.
    pub fn come_back(&self) {
        self.order("serve");
    }

    /// Stops all its processes where they are, until [`Self::thaw`].
    pub fn freeze(&self) {
        self.order("freeze");
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.order("thaw");
    }

    fn order(&self, what: &str) {
        let mut supervisor = self.supervisor();
        writeln!(supervisor.orders, "{what}").expect("it listens");
        supervisor.hear();
    }

    fn supervisor(&self) -> MutexGuard<'_, Supervisor> {
        self.supervisor.lock().expect("nobody panicked with it")
    }

    /// The URL of a new database, which a role that is no superuser owns.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name} OWNER {USER}"));
        format!("postgres://{USER}@127.0.0.1:{}/{name}?sslmode=disable", self.port)
    }

    /// Runs `sql` in `database` as a superuser, and returns what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn execute(&self, database: &str, sql: &str) -> String {
        Self::execute_at(&format!("postgres://{SUPERUSER}@127.0.0.1:{}/{database}", self.port), sql)
    }

    /// Runs `sql` at `url`, and returns what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn execute_at(url: &str, sql: &str) -> String {
        let done = Command::new("psql").args([url, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql]).output();
        let done = done.expect("psql");
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }
}
