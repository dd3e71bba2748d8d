//! Secrets that configuration names and does not hold.

use std::collections::BTreeMap;
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
        let variable = format!("{name}_FILE");
        let Some(file) = self.0.get(&variable).map(ExposeSecret::expose_secret) else { return Ok(None) };
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(Some(text.trim_end().into())),
            Err(error) => Err(ConfigError::unusable(variable, format!("cannot read {file}: {error}"))),
        }
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

impl FromIterator<(String, String)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().map(|(name, value)| (name, value.into())).collect()))
    }
}
