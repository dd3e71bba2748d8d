//! The ends of audit logs, noted outside the database: as a log line, which should leave the machine, and in a file.
//!
//! Before a new end is noted, the log must still go through the one before: an end of a log that was made anew is not
//! noted, so that the old one stays to prove it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use vx11_contracts::identity::OrgId;
use vx11_contracts::time;
use vx11_identity::audit_chain::Head;
use vx11_store::StoreError;

use crate::control::Control;

/// What the lines say, in the log and in the file.
const MESSAGE: &str = "audit log head";

/// Longest wait for the file to be written.
const SAVE_LIMIT: Duration = Duration::from_secs(5);

/// The ends that were noted.
#[derive(Debug)]
pub(super) struct Heads {
    file: PathBuf,
    noted: Mutex<Noted>,
    /// Held by whoever notes new ones, and by nobody who reads.
    noting: tokio::sync::Mutex<()>,
    /// Held while the file is written.
    saving: Arc<Mutex<()>>,
}

type Noted = BTreeMap<OrgId, Head>;

impl Heads {
    /// Those of `file`, which need not be there.
    ///
    /// # Errors
    /// When it is there and cannot be read: the ends in it would be written over.
    pub(super) fn load(file: PathBuf) -> io::Result<Self> {
        let noted = match std::fs::File::open(&file) {
            Ok(opened) => read_heads(io::BufReader::new(opened))?.into_iter().collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Noted::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { file, noted: Mutex::new(noted), noting: tokio::sync::Mutex::default(), saving: Arc::default() })
    }

    pub(super) fn of(&self, org: &OrgId) -> Option<Head> {
        self.noted.lock().get(org).copied()
    }

    /// Notes what has been appended to; how many logs do not go on from where they were noted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn note(&self, control: &Control) -> Result<usize, StoreError> {
        let _only = self.noting.lock().await;
        let before = self.noted.lock().clone();
        let (mut now, nobodys) = ends(control).await?;
        let broken = nobodys + keep_what_proves(control, &before, &mut now).await?;
        if now == before {
            return Ok(broken);
        }
        for (org, head) in now.iter().filter(|(org, head)| before.get(*org) != Some(*head)) {
            tracing::info!(audit.org = %org, audit.seq = head.sequence, audit.hash = %head.hash, "{MESSAGE}");
        }
        *self.noted.lock() = now.clone();
        if let Err(error) = self.save(now).await {
            tracing::warn!(%error, file = %self.file.display(), "the ends of audit logs cannot be noted");
        }
        Ok(broken)
    }

    /// Writes the file, beside the requests that are served.
    async fn save(&self, noted: Noted) -> io::Result<()> {
        let (file, saving) = (self.file.clone(), self.saving.clone());
        let save = tokio::task::spawn_blocking(move || match saving.try_lock() {
            Some(_only) => write(&file, &noted),
            None => Err(io::Error::other("what was noted before is not written yet")),
        });
        tokio::time::timeout(SAVE_LIMIT, save).await??
    }
}

/// The ends as they are, and how many are nobody's.
async fn ends(control: &Control) -> Result<(Noted, usize), StoreError> {
    let (mut now, mut last, mut nobodys) = (Noted::new(), None, 0);
    loop {
        let page = control.audit_heads(last).await?;
        let Some((name, _)) = page.last() else { return Ok((now, nobodys)) };
        last = Some(name.clone());
        for (name, head) in page {
            if let Ok(org) = name.parse() {
                now.insert(org, head);
            } else {
                tracing::error!(name, "the audit log has rows of no organisation: see `vx11 audit verify`");
                nobodys += 1;
            }
        }
    }
}

/// Puts back into `now` the ends from which logs do not go on; how many those are.
async fn keep_what_proves(control: &Control, before: &Noted, now: &mut Noted) -> Result<usize, StoreError> {
    let mut broken = 0;
    for (org, before) in before {
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
    Ok(broken)
}

/// In one step, so that a crash leaves the one or the other.
fn write(path: &Path, noted: &Noted) -> io::Result<()> {
    let mut file = tempfile_beside(path)?;
    for (org, head) in noted {
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
    std::fs::rename(file.0, path)
}

fn tempfile_beside(file: &Path) -> io::Result<(PathBuf, std::fs::File)> {
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
    for line in lines.split(b'\n') {
        let line = line?;
        // A line of a log may be anything.
        let line = String::from_utf8_lossy(&line);
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

#[cfg(test)]
mod tests {
    use vx11_identity::audit_chain::GENESIS;

    use super::*;

    fn acme() -> OrgId {
        "acme".parse().expect("an id")
    }

    #[test]
    fn a_line_that_is_no_text_hides_no_other_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("heads.jsonl");
        let head = Head { sequence: 3, hash: GENESIS };
        write(&file, &[(acme(), head)].into()).expect("written");
        let written = std::fs::read(&file).expect("there");
        std::fs::write(&file, [b"audit log head \xff\n", written.as_slice(), b"\xfe"].concat()).expect("written");
        assert_eq!(Heads::load(file).expect("read").of(&acme()), Some(head));
    }

    #[test]
    fn what_is_not_there_is_empty_and_what_cannot_be_read_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Heads::load(dir.path().join("none")).expect("empty").of(&acme()), None);
        // Nobody reads a directory as a file, not even root.
        assert!(Heads::load(dir.path().to_owned()).is_err());
        assert!(Heads::load(dir.path().join("a\0b")).is_err());
    }
}
