//! The command `vx11`.

mod accounts;
mod audit;
mod check_config;
mod db;
mod documents;
mod driver;
mod stack;
mod summary;
mod token;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps AI chat in production alive and under human control.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every service in this process, until SIGTERM or Ctrl-C.
    Up,
    /// Say whether the configuration can be used, and start nothing.
    CheckConfig {
        /// The file; without it, the one that `up` would read.
        file: Option<PathBuf>,
    },
    /// Keep organisations.
    #[command(subcommand)]
    Org(accounts::OrgCommand),
    /// Keep API keys.
    #[command(subcommand)]
    Key(accounts::KeyCommand),
    /// Keep people.
    #[command(subcommand)]
    Pilot(accounts::PilotCommand),
    /// Keep the keys that sign access tokens.
    #[command(subcommand)]
    SigningKey(accounts::SigningKeyCommand),
    /// Let the first administrator in.
    #[command(subcommand)]
    Admin(accounts::AdminCommand),
    /// Prove the audit log, or write it out.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Look after the databases, and move from SQLite to PostgreSQL.
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Write the OpenAPI document of every service into a directory.
    Openapi {
        /// The directory; it is made where it is missing.
        dir: PathBuf,
        /// Write nothing; fail where a document is not what would be written.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Up => up::run(),
        Command::CheckConfig { file } => check_config::run(file.as_deref()),
        Command::Org(command) => accounts::org(command),
        Command::Key(command) => accounts::key(command),
        Command::Pilot(command) => accounts::pilot(command),
        Command::SigningKey(command) => accounts::signing_key(command),
        Command::Admin(command) => accounts::admin(command),
        Command::Audit(command) => audit::run(command),
        Command::Db(command) => db::run(command),
        Command::Openapi { dir, check: false } => documents::write(&dir),
        Command::Openapi { dir, check: true } => documents::check(&dir),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            vx11_chassis::process::complain("vx11", &error);
            ExitCode::FAILURE
        }
    }
}
