//! How a figure is printed, and held against its target.

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
    println!("{what:<36} {value:>8.3}  {sign} {target:<6} {}", if holds { "ok" } else { "MISS" });
}

/// The middle one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
