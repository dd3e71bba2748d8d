//! How a figure is printed, and held against its target.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;

/// Whether a figure has missed its target.
static MISSED: AtomicBool = AtomicBool::new(false);

/// Which side of its target a figure must be on.
pub(crate) enum Bound {
    AtLeast,
    AtMost,
}

/// Prints a figure with its target.
pub(crate) fn judge(what: &str, value: f64, target: f64, bound: Bound) {
    let (holds, sign) = match bound {
        Bound::AtLeast => (value >= target, "≥"),
        Bound::AtMost => (value <= target, "≤"),
    };
    MISSED.fetch_or(!holds, Ordering::Relaxed);
    println!("{what:<36} {value:>8.3}  {sign} {target:<6} {}", if holds { "ok" } else { "MISS" });
}

/// Fails where a figure has missed its target, so that whoever called the program hears of it.
pub(crate) fn check() -> anyhow::Result<()> {
    ensure!(!MISSED.load(Ordering::Relaxed), "not every figure is what is aimed at");
    Ok(())
}

/// The middle one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
