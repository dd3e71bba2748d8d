//! What is wrong with a configuration, and where.

use std::path::PathBuf;

use super::variables::{SECTIONS, is_secret};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value is missing, unknown, or of the wrong type; figment's text names the source and the field.
    #[error("{0}")]
    Invalid(Box<figment::Error>),
    /// The named file is not there.
    #[error("the configuration file {0} does not exist")]
    NoFile(PathBuf),
    /// A section that no service has.
    #[error("{origin}: there is no section `{section}`; the sections are {}", SECTIONS.join(", "))]
    UnknownSection {
        /// The variable or the file.
        origin: String,
        /// The section's name.
        section: String,
    },
    /// A value that fits its type and still makes no sense.
    #[error("{field}: {problem}")]
    Unusable {
        /// The field's path.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A mistake, and where it was written.
    #[error("{error}, {place}")]
    Placed {
        /// The mistake.
        error: Box<ConfigError>,
        /// The variable, or the file's line.
        place: String,
    },
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        // figment's text repeats the value that it could not use.
        match error.path.last() {
            Some(name) if is_secret(name) => Self::unusable(error.path.join("."), "must be text in quotes"),
            _ => Self::Invalid(Box::new(error)),
        }
    }
}

impl ConfigError {
    /// A value that fits its type and still makes no sense.
    pub fn unusable(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Unusable { field: field.into(), problem: problem.into() }
    }
}
