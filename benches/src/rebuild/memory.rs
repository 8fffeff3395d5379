//! How much memory the process took, as Linux counts it.

use anyhow::Context;

/// Begins a new measurement of the peak (proc(5), `clear_refs`).
pub(super) fn reset_peak() -> anyhow::Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").context("the peak can be reset on Linux")
}

/// The largest resident set since the last reset, in MiB.
pub(super) fn peak_mib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("the figures of a process on Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM is there")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().context("a number of kB")?;
    Ok(kib / 1024)
}
