//! Configuration: one TOML file with a section a service, and `VX11_*` variables over it.
//!
//! `VX11_SECTION__FIELD` sets `field` of `[section]`; a few names without a section are kept for older clients and
//! tests (`VX11_TOKEN`, `VX11_SWITCH_URL` …). Everything is checked before a port opens. Only
//! [`Settings::from_process`] reads the process environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Serialized, Toml};
use figment::value::Dict;
use figment::{Figment, Provider};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vx11_telemetry::TelemetryConfig;

use crate::server::HttpConfig;

mod error;
mod origin;
mod secrets;
mod urls;
mod variables;

pub use error::ConfigError;
pub use secrets::Secrets;
pub use urls::{Urls, loopback};

use origin::Origin;
use variables::{SECTIONS, TABLES, Variable, path_of};

/// What every service reads besides its own section.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Common {
    /// The token that services and callers share.
    pub token: Option<SecretString>,
    /// Where stores, backups and evidence files are.
    pub data_dir: DataDir,
    /// The PostgreSQL database that replicas share; without it, SQLite files in the data directory.
    pub database_url: Option<SecretString>,
    /// The Redis by which replicas share what is not kept; without it, each process is on its own.
    pub redis_url: Option<SecretString>,
    /// Where the services are.
    pub urls: Urls,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// Limits of the HTTP servers.
    pub http: HttpConfig,
    /// Days that rows are kept, by table; what is not named keeps its default.
    pub retention_days: BTreeMap<String, u32>,
    /// Secrets that configuration names and does not hold.
    #[serde(skip)]
    pub secrets: Secrets,
    /// The file that was read, where there is one.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "vx11.toml";

impl Common {
    /// The file as it is now, under the variables as they were at the start. Where there was none, one that has come to
    /// be at [its place](Self::place) since; one that was there once must not be missing.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn read_again(&self) -> Result<Settings, ConfigError> {
        let file = Some(self.place()).filter(|place| self.file.is_some() || place.exists());
        Settings::load(file, self.secrets.variables())
    }

    /// Where the file is, or would be.
    #[must_use]
    pub fn place(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE))
    }
}

/// The data directory; `.vx11` where none is named.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct DataDir(pub PathBuf);

impl Default for DataDir {
    fn default() -> Self {
        Self(PathBuf::from(".vx11"))
    }
}

/// File and variables, merged and not yet typed.
#[derive(Clone, Debug)]
pub struct Settings {
    figment: Figment,
    file: Option<PathBuf>,
    secrets: Secrets,
}

impl Settings {
    /// Reads the file that `VX11_CONFIG` names, or `vx11.toml` where it exists, and the process's variables.
    ///
    /// # Errors
    /// When the file is missing or broken, or a name is unknown.
    pub fn from_process() -> Result<Self, ConfigError> {
        Self::of_process(None)
    }

    /// As [`Settings::from_process`], with `file` in place of the one that would be found.
    ///
    /// # Errors
    /// When the file is missing or broken, or a name is unknown.
    pub fn of_process(file: Option<&Path>) -> Result<Self, ConfigError> {
        let named = || std::env::var_os("VX11_CONFIG").map(PathBuf::from);
        let file = file.map(Path::to_owned).or_else(named);
        let file = file.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self::load(file.as_deref(), variables)
    }

    /// Merges `variables` over `file`.
    ///
    /// # Errors
    /// When the file is missing or broken, or a section is unknown.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            if !path.exists() {
                return Err(ConfigError::NoFile(path.to_owned()));
            }
            let toml = Toml::file_exact(path);
            for section in toml.data()?.values().flat_map(Dict::keys) {
                let top_level = matches!(section.as_str(), "token" | "data_dir" | "retention_days");
                if !top_level && !SECTIONS.contains(&section.as_str()) {
                    return Err(ConfigError::UnknownSection {
                        origin: path.display().to_string(),
                        section: section.clone(),
                    });
                }
            }
            figment = figment.merge(toml);
        }
        // An empty variable is one that is not set: compose files and CI pass what they do not know on as "".
        let mut variables: Vec<(String, String)> = variables.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        // Sorted, so that which of two aliases wins does not depend on the environment's order.
        variables.sort();
        for (name, text) in &variables {
            if let Some(variable) = Variable::parse(name, text)? {
                figment = figment.merge(variable);
            }
        }
        Ok(Self { figment, file: file.map(Path::to_owned), secrets: variables.into_iter().collect() })
    }

    /// `error` with the place where the setting was written that it is about.
    #[must_use]
    pub fn placed(&self, error: ConfigError) -> ConfigError {
        let variables = || {
            let names = self.secrets.names();
            names.filter_map(|name| Some((name.to_owned(), path_of(name).ok()??))).collect::<Vec<_>>()
        };
        let origin = |field: &str| origin::of(field, &variables(), self.file.as_deref());
        let place = match &error {
            ConfigError::Unusable { field, .. } => origin(field).map(|origin| match (origin, &self.file) {
                (Origin::Line(line), Some(file)) => format!("in {}, line {line}", file.display()),
                (Origin::Line(line), None) => format!("line {line}"),
                (Origin::Variable(name), _) => format!("set by {name}"),
            }),
            // figment's text names the file or the variable.
            ConfigError::Invalid(invalid) => match origin(&invalid_field(invalid)) {
                Some(Origin::Line(line)) => Some(format!("line {line}")),
                Some(Origin::Variable(_)) | None => None,
            },
            _ => None,
        };
        match place {
            Some(place) => ConfigError::Placed { error: Box::new(error), place },
            None => error,
        }
    }

    /// What every service reads.
    ///
    /// # Errors
    /// Naming the field and where it was set.
    pub fn common(&self) -> Result<Common, ConfigError> {
        self.read_common().map_err(|error| self.placed(error))
    }

    fn read_common(&self) -> Result<Common, ConfigError> {
        let mut common: Common = self.figment.extract()?;
        for name in ["VX11_TOKEN", "VX11_TENTACULO_LINK_TOKEN"] {
            if common.token.is_none() {
                common.token = self.secrets.get(name)?;
            }
        }
        if let Some(token) = &common.token {
            check_token(token)?;
        }
        if common.http.send_timeout.is_zero() {
            return Err(ConfigError::unusable("http.send_timeout", "no client can be sent anything in no time"));
        }
        common.retention_days.iter().try_for_each(|(table, days)| check_retention(table, *days))?;
        common.secrets = self.secrets.clone();
        common.file = self.file.clone();
        Ok(common)
    }

    /// A service's own section: what is set, over the service's defaults, field by field. A table within the section
    /// that is set in part keeps these for the rest, whatever the defaults of its type.
    ///
    /// Defaults are merged as values, so a section serialises, all but its secrets: `SecretString` refuses to, and is
    /// marked `skip_serializing`. A secret has no default.
    ///
    /// # Errors
    /// Naming the field and where it was set.
    pub fn section<T: Serialize + DeserializeOwned + Default>(&self, name: &str) -> Result<T, ConfigError> {
        let defaults = Figment::from(Serialized::default(name, T::default()));
        defaults.merge(&self.figment).extract_inner(name).map_err(|mut error: figment::Error| {
            // figment puts the section behind the field that is in it.
            if error.path.last().is_some_and(|last| last == name) {
                error.path.rotate_right(1);
            }
            self.placed(error.into())
        })
    }
}

/// What figment found fault with; an unknown field is no part of its path.
fn invalid_field(error: &figment::Error) -> String {
    let unknown = match &error.kind {
        figment::error::Kind::UnknownField(name, _) => Some(name),
        _ => None,
    };
    let parts: Vec<&str> = error.path.iter().chain(unknown).map(String::as_str).collect();
    parts.join(".")
}

/// A token travels in a header, and one that is blank would let everybody in.
fn check_token(token: &SecretString) -> Result<(), ConfigError> {
    match token.expose_secret() {
        "" => Err(ConfigError::unusable("token", "is empty; leave it out to have none")),
        text if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(()),
        _ => Err(ConfigError::unusable("token", "has characters besides visible ASCII")),
    }
}

/// Rows of no table would go, or all rows of one.
fn check_retention(table: &str, days: u32) -> Result<(), ConfigError> {
    let refused = |problem: String| Err(ConfigError::unusable(format!("retention_days.{table}"), problem));
    match days {
        _ if !TABLES.contains(&table) => {
            refused(format!("there is no such table; the tables are {}", TABLES.join(", ")))
        }
        0 => refused("must be 1 day or more: no row would be kept".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
