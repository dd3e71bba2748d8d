//! What processes have used, from `/proc`.

use anyhow::Context;

/// Clock ticks of `/proc/<pid>/stat` in a second; fixed on Linux.
const TICKS: f64 = 100.0;

/// Seconds of CPU that the processes have used.
pub(crate) fn cpu_seconds(ids: &[u32]) -> anyhow::Result<f64> {
    ids.iter().map(|id| cpu_of(*id)).sum()
}

fn cpu_of(id: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name, in brackets, may hold spaces.
    let after_name = stat.rsplit_once(')').context("no name")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("no ticks");
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

/// Resident memory of a process, in MiB.
pub(crate) fn resident_mib(id: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib / 1024.0)
}
