//! Secrets that configuration names and does not hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::ConfigError;

/// The process's variables, for secrets that a configuration file refers to by name.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Arc<BTreeMap<String, SecretString>>);

impl Secrets {
    /// The secret `name`: the variable itself, or the content of the file that `{name}_FILE` names; `None` where
    /// neither is set.
    ///
    /// # Errors
    /// When the named file cannot be read: a mistake in it must not pass for a missing secret.
    pub fn get(&self, name: &str) -> Result<Option<SecretString>, ConfigError> {
        if let Some(secret) = self.0.get(name) {
            return Ok(Some(secret.clone()));
        }
        let Some(file) = self.file(name) else { return Ok(None) };
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(Some(text.trim_end().into())),
            Err(error) => {
                Err(ConfigError::unusable(file_variable(name), format!("cannot read {}: {error}", file.display())))
            }
        }
    }

    /// The file that [`Secrets::get`] reads the secret `name` from, whether it is there or not; `None` where it reads
    /// none.
    pub fn file(&self, name: &str) -> Option<&Path> {
        if self.0.contains_key(name) {
            return None;
        }
        self.0.get(&file_variable(name)).map(|file| Path::new(file.expose_secret()))
    }

    /// The variables as they were at the start.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
    }

    /// The names of all variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn file_variable(name: &str) -> String {
    format!("{name}_FILE")
}

impl FromIterator<(String, String)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().map(|(name, value)| (name, value.into())).collect()))
    }
}
