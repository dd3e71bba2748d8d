//! `vx11 db`: the databases of all services, without the services.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Subcommand;
use vx11_chassis::config::{Common, Settings};
use vx11_store::transfer::{self, TableTransfer};
use vx11_store::{Database, ServiceDatabase};

/// Backups of each database that are kept in a folder.
const KEPT: usize = 7;

#[derive(Subcommand)]
pub(crate) enum DbCommand {
    /// Bring every schema up to date, and start nothing; services do so too when they start.
    Migrate,
    /// Copy every row of the SQLite files to PostgreSQL (`VX11_DATABASE_URL`), each file in one transaction. Stop the
    /// services first: what they write afterwards is not copied. Nothing is copied where there are other rows.
    Copy,
    /// Compare every row of the SQLite files with PostgreSQL's; fail where one differs.
    Verify,
    /// Copy the SQLite files into a folder, each as it is at one moment, also while services run. The newest seven are kept.
    /// PostgreSQL is backed up by its own means.
    Backup {
        /// The folder; it is made where it is missing.
        dir: PathBuf,
    },
}

pub(crate) fn run(command: DbCommand) -> anyhow::Result<()> {
    let common = Settings::from_process()?.common()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match command {
        DbCommand::Migrate => {
            for database in databases(&common) {
                let opened = opened(&database)?;
                runtime.block_on(opened.ping()).with_context(|| opened.name())?;
                say(format_args!("{}\t{}\tup to date", database.service, opened.name()))?;
            }
            Ok(())
        }
        DbCommand::Copy => {
            each_pair(&common, |service, file, server| {
                let copied = runtime.block_on(transfer::copy(file, server))?;
                copied.iter().try_for_each(|table| say(format_args!("{service}\t{}\t{} rows", table.table, table.rows)))
            })?;
            say(format_args!("copied; `vx11 db verify` compares"))
        }
        DbCommand::Verify => verify(&common, &runtime),
        DbCommand::Backup { dir } => backup(&common, &runtime, dir),
    }
}

fn verify(common: &Common, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let mut different = 0;
    each_pair(common, |service, file, server| {
        for TableTransfer { table, rows, different: here, keys } in runtime.block_on(transfer::verify(file, server))? {
            let found = if here == 0 { "the same".to_owned() } else { format!("{here} differ: {}", keys.join(" ")) };
            say(format_args!("{service}\t{table}\t{rows} rows\t{found}"))?;
            different += here;
        }
        Ok(())
    })?;
    if different > 0 {
        bail!("PostgreSQL does not have what the SQLite files have");
    }
    Ok(())
}

fn backup(common: &Common, runtime: &tokio::runtime::Runtime, dir: PathBuf) -> anyhow::Result<()> {
    if common.database_url.is_some() {
        bail!("the databases are in PostgreSQL, which is backed up by its own means (docs/operations.md)");
    }
    for database in databases(common) {
        let made = runtime.block_on(opened(&database)?.backup(dir.clone(), KEPT))?;
        if let Some(made) = made {
            say(format_args!("{}\t{}\t{} bytes", database.service, made.created.path.display(), made.created.bytes))?;
        }
    }
    Ok(())
}

/// Runs `work` on each SQLite file and the PostgreSQL database that its rows belong in.
fn each_pair(
    common: &Common,
    mut work: impl FnMut(&str, &Database, &Database) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if common.database_url.is_none() {
        bail!("VX11_DATABASE_URL does not say where PostgreSQL is");
    }
    for database in databases(common) {
        let path = &database.config.path;
        if !path.exists() {
            say(format_args!("{}\t{}\tthere is no such file", database.service, path.display()))?;
            continue;
        }
        let file = ServiceDatabase { config: database.config.clone().without_url(), ..database };
        work(database.service, &opened(&file)?, &opened(&database)?).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn opened(database: &ServiceDatabase) -> anyhow::Result<Database> {
    Ok(Database::open(database.config.clone(), (database.migrations)())?)
}

/// Of all services.
fn databases(common: &Common) -> Vec<ServiceDatabase> {
    let of_services = [vx11_operator::databases(common), vx11_madre::databases(common), vx11_switch::databases(common)];
    of_services.into_iter().flatten().collect()
}

fn say(line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
