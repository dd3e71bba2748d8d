//! Evidence: what a run found, as files that stay when the answer is gone.
//!
//! The files are written into a directory under another name, synced, and only then given their own: a directory that
//! is called evidence is whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use vx11_contracts::maintenance::PostTaskReport;

/// Runs whose evidence is kept.
const KEPT: usize = 20;
const PREFIX: &str = "post_task-";
const UNFINISHED: &str = ".unfinished";

/// Writes the run's evidence below `root`, names the directory in the report, and removes what is too old.
pub(super) async fn write(
    root: PathBuf,
    report: &mut PostTaskReport,
    schema: BTreeMap<String, Value>,
) -> io::Result<()> {
    let name = format!("{PREFIX}{}", Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ"));
    let out_dir = std::path::absolute(root.join(name))?;
    report.out_dir = out_dir.display().to_string();
    let report = report.clone();
    let written = tokio::task::spawn_blocking(move || {
        write_all(&root, &out_dir, &report, &schema)?;
        prune(&root)
    });
    written.await.map_err(io::Error::other)?
}

fn write_all(root: &Path, out_dir: &Path, report: &PostTaskReport, schema: &BTreeMap<String, Value>) -> io::Result<()> {
    let unfinished = root.join(UNFINISHED);
    // Left over from a run that did not end.
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    let file = |name: &str| unfinished.join(name);
    write_json(&file("integrity.json"), &report.integrity)?;
    write_json(&file("retention.json"), &report.retention)?;
    write_json(&file("backup_rotation.json"), &report.backup_rotation)?;
    write_json(&file("counts.json"), &report.counts)?;
    write_json(&file("scorecard.json"), &report.scorecard)?;
    write_json(&file("schema.json"), schema)?;
    write_json(&file("summary.json"), report)?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, out_dir)?;
    File::open(root)?.sync_all()
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&serde_json::to_vec_pretty(value)?)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Removes all but the newest. The names carry the time, so that order of name is order of age.
fn prune(root: &Path) -> io::Result<()> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            runs.push(entry.path());
        }
    }
    runs.sort();
    let surplus = runs.len().saturating_sub(KEPT);
    runs[..surplus].iter().try_for_each(fs::remove_dir_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> PostTaskReport {
        let part = || BTreeMap::from([("madre".to_owned(), Value::from(1))]);
        PostTaskReport {
            status: "ok".to_owned(),
            out_dir: String::new(),
            db_size_mb: 0.0,
            apply_retention: false,
            reason: None,
            integrity: part(),
            retention: part(),
            backup_rotation: part(),
            counts: part(),
            scorecard: part(),
        }
    }

    #[tokio::test]
    async fn only_the_newest_runs_are_kept_and_what_is_not_evidence_stays() {
        let root = tempfile::tempdir().expect("a directory");
        for day in 1..=25 {
            fs::create_dir(root.path().join(format!("{PREFIX}202001{day:02}T000000000Z"))).expect("a directory");
        }
        fs::write(root.path().join("readme.txt"), "mine").expect("a file");
        fs::create_dir(root.path().join(UNFINISHED)).expect("left over");

        let mut report = report();
        write(root.path().to_owned(), &mut report, BTreeMap::new()).await.expect("written");
        assert!(Path::new(&report.out_dir).join("summary.json").exists());
        let left = fs::read_dir(root.path()).expect("a list").count();
        assert_eq!(left, KEPT + 1, "20 runs and the file");
        assert!(root.path().join("readme.txt").exists());
    }
}
