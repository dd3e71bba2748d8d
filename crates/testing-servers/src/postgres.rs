//! A real PostgreSQL for the tests of one binary.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::lasting_port;

/// Debian's `postgresql`, which `tests/prepare.sh` installs, on a port and in a directory of its own. It is stopped, and
/// its directory removed, when the process that started it ends in whatever way.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    databases: AtomicU32,
    /// It stops where this one's standard input ends.
    _supervisor: Child,
}

/// Who serves is no superuser: those are above row-level security.
const USER: &str = "vx11";
const SUPERUSER: &str = "postgres";

/// The server refuses to be root; then it is the user that its package made.
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
$as postgres -D "$home/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
  -c fsync="$fsync" -c max_connections=400 -c log_min_messages=fatal >"$home/log" 2>&1 </dev/null &
server=$!
until psql -h 127.0.0.1 -p "$port" -U postgres -qAt -c 'CREATE ROLE vx11 LOGIN' >/dev/null 2>&1; do
  kill -0 $server || { cat "$home/log" >&2; exit 1; }
  sleep 0.05
done
echo ready
cat >/dev/null
kill -INT $server
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
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "postgres", &port.to_string(), fsync])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut said = String::new();
        BufReader::new(supervisor.stdout.take().expect("a pipe")).read_line(&mut said).expect("a line");
        assert_eq!(said.trim(), "ready", "PostgreSQL does not start; tests/prepare.sh installs it");
        Self { port, databases: AtomicU32::new(0), _supervisor: supervisor }
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
