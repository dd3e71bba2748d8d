//! The ends of audit logs, noted outside the database: as a log line, which should leave the machine, and in a file.
//!
//! Before a new end is noted, the log must still go through the one before: an end of a log that was made anew is not
//! noted, so that the old one stays to prove it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use serde_json::{Value, json};
use vx11_contracts::identity::OrgId;
use vx11_contracts::time;
use vx11_identity::audit_chain::Head;
use vx11_store::StoreError;

use crate::control::Control;

/// What the lines say, in the log and in the file.
const MESSAGE: &str = "audit log head";

/// The ends that were noted.
#[derive(Debug)]
pub(super) struct Heads {
    file: PathBuf,
    noted: BTreeMap<OrgId, Head>,
}

impl Heads {
    /// Those of `file`, which need not be there.
    pub(super) fn load(file: PathBuf) -> Self {
        let noted = match std::fs::File::open(&file) {
            Ok(opened) => read_heads(io::BufReader::new(opened)).unwrap_or_else(|error| {
                tracing::warn!(%error, file = %file.display(), "the noted ends of audit logs cannot be read");
                Vec::new()
            }),
            Err(_) => Vec::new(),
        };
        Self { file, noted: noted.into_iter().collect() }
    }

    pub(super) fn of(&self, org: &OrgId) -> Option<Head> {
        self.noted.get(org).copied()
    }

    /// Notes what has been appended to; how many logs do not go on from where they were noted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn note(&mut self, control: &Control) -> Result<usize, StoreError> {
        let (mut now, mut last, mut broken) = (BTreeMap::new(), None, 0);
        loop {
            let page = control.audit_heads(last).await?;
            let Some((name, _)) = page.last() else { break };
            last = Some(name.clone());
            for (name, head) in page {
                if let Ok(org) = name.parse() {
                    now.insert(org, head);
                } else {
                    tracing::error!(name, "the audit log has rows of no organisation: see `vx11 audit verify`");
                    broken += 1;
                }
            }
        }
        for (org, before) in &self.noted {
            let goes_on = match now.get(org) {
                Some(head) if head == before => true,
                // An end that went back, or is gone, was not moved by whoever links, even where the rows are still there.
                Some(head) if head.sequence > before.sequence => {
                    control.audit_log(org).hash_of(before.sequence).await? == Some(before.hash)
                }
                _ => false,
            };
            if !goes_on {
                tracing::error!(%org, seq = before.sequence, "the audit log does not go on from where it was noted: see `vx11 audit verify`");
                broken += 1;
                now.insert(org.clone(), *before);
            }
        }
        if now == self.noted {
            return Ok(broken);
        }
        for (org, head) in now.iter().filter(|(org, head)| self.noted.get(*org) != Some(*head)) {
            tracing::info!(audit.org = %org, audit.seq = head.sequence, audit.hash = %head.hash, "{MESSAGE}");
        }
        self.noted = now;
        if let Err(error) = self.save() {
            tracing::warn!(%error, file = %self.file.display(), "the ends of audit logs cannot be noted");
        }
        Ok(broken)
    }

    /// In one step, so that a crash leaves the one or the other.
    fn save(&self) -> io::Result<()> {
        let mut file = tempfile_beside(&self.file)?;
        for (org, head) in &self.noted {
            let line = json!({
                "timestamp": time::now(),
                "message": MESSAGE,
                "audit.org": org,
                "audit.seq": head.sequence,
                "audit.hash": head.hash.to_string(),
            });
            writeln!(file.1, "{line}")?;
        }
        file.1.sync_all()?;
        std::fs::rename(file.0, &self.file)
    }
}

fn tempfile_beside(file: &std::path::Path) -> io::Result<(PathBuf, std::fs::File)> {
    let path = file.with_extension(format!("{}.tmp", std::process::id()));
    let opened = std::fs::File::create(&path)?;
    Ok((path, opened))
}

/// The noted ends among lines of a log, or of the file; other lines are passed over.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn read_heads(lines: impl BufRead) -> io::Result<Vec<(OrgId, Head)>> {
    let mut heads = Vec::new();
    for line in lines.lines() {
        let line = line?;
        if !line.contains(MESSAGE) {
            continue;
        }
        let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
        let org = line["audit.org"].as_str().and_then(|org| org.parse().ok());
        let sequence = line["audit.seq"].as_u64();
        let hash = line["audit.hash"].as_str().and_then(|hash| hash.parse().ok());
        heads.extend(org.zip(sequence).zip(hash).map(|((org, sequence), hash)| (org, Head { sequence, hash })));
    }
    Ok(heads)
}
