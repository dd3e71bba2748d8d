//! What came of it.

use std::fmt;

/// Complaints that are shown one by one.
const SHOWN: usize = 50;

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    lines: Vec<String>,
    wrong: Vec<String>,
}

impl Report {
    pub(super) fn new(blows: usize) -> Self {
        Self { lines: vec![format!("{blows} blows")], wrong: Vec::new() }
    }

    /// Adds a line of what was done.
    pub(super) fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Adds something that must not be.
    pub(super) fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        for wrong in self.wrong.iter().take(SHOWN) {
            writeln!(f, "WRONG: {wrong}")?;
        }
        write!(f, "{} things are wrong", self.wrong.len())
    }
}
