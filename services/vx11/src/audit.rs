//! `vx11 audit`: the audit log, proven and written out, on the database itself, also while services run.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Subcommand;
use vx11_contracts::audit::AuditVerdict;
use vx11_contracts::identity::OrgId;

use crate::accounts::done;

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Prove that no row was changed, taken out or put in; fail where one was, and name the first. It only reads.
    Verify {
        /// Of this organisation only, instead of each.
        #[arg(long)]
        org: Option<OrgId>,
        /// A log of the services, or what was kept of it: the log must go through the ends noted there too (`-`: standard
        /// input). Those in the data directory are always looked at.
        #[arg(long = "heads")]
        heads: Vec<PathBuf>,
    },
    /// Write every row to standard output, a JSON object a line, the oldest first; fail where one cannot be read.
    Export {
        /// Of this organisation only, instead of each.
        #[arg(long)]
        org: Option<OrgId>,
    },
}

pub(crate) fn run(command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Verify { org, heads } => verify(org, &heads),
        AuditCommand::Export { org } => {
            let (mut out, mut written) = (std::io::stdout().lock(), Ok(()));
            let left_out = done(async |admin| {
                let line = |row| {
                    if written.is_ok() {
                        let row = serde_json::to_writer(&mut out, &row).map_err(std::io::Error::from);
                        written = row.and_then(|()| writeln!(out));
                    }
                };
                admin.export_audit(org, line).await
            })?;
            written?;
            out.flush()?;
            if left_out.rows == 0 && left_out.nobodys.is_empty() {
                return Ok(());
            }
            let nobodys = left_out.nobodys.iter();
            let nobodys = nobodys.map(|name| format!(", and all of {name:?}, which is no organisation"));
            bail!("{} rows that cannot be read are left out{}", left_out.rows, nobodys.collect::<String>())
        }
    }
}

fn verify(org: Option<OrgId>, heads: &[PathBuf]) -> anyhow::Result<()> {
    let mut verdicts = Vec::new();
    let nobodys = done(async |admin| admin.verify_audit(org, heads, |verdict| verdicts.push(verdict)).await)?;
    let mut out = std::io::stdout().lock();
    verdicts.iter().try_for_each(|verdict| writeln!(out, "{}", line(verdict)))?;
    nobodys.iter().try_for_each(|name| writeln!(out, "{name:?}\tbroken\trows of no organisation"))?;
    out.flush()?;
    match verdicts.iter().filter(|verdict| !verdict.intact).count() + nobodys.len() {
        0 => Ok(()),
        1 => bail!("an audit log is not what was written"),
        broken => bail!("{broken} audit logs are not what was written"),
    }
}

fn line(AuditVerdict { org_id, head, broken, unlinked, compared_with, .. }: &AuditVerdict) -> String {
    let line = match (broken, head) {
        (Some(broken), _) => format!("{org_id}\tbroken\trow {} {}", broken.seq, broken.flaw),
        (None, Some(head)) => {
            format!("{org_id}\tintact\t{} rows\t{}\tthrough {compared_with} noted ends", head.seq, head.hash)
        }
        (None, None) => format!("{org_id}\tintact"),
    };
    match unlinked {
        0 => line,
        rows => format!("{line}\t{rows} rows are not linked yet"),
    }
}
