//! Configuration: one TOML file with a section a service, and `VX11_*` variables over it.
//!
//! `VX11_SECTION__FIELD` sets `field` of `[section]`; a few names without a section are kept for older clients and
//! tests (`VX11_TOKEN`, `VX11_SWITCH_URL` …). Everything is checked before a port opens. Only
//! [`Settings::from_process`] reads the process environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use figment::providers::{Format, Serialized, Toml};
use figment::value::Dict;
use figment::{Figment, Provider};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;
use vx11_telemetry::TelemetryConfig;

use crate::server::HttpConfig;

mod origin;
mod variables;

use origin::Origin;
use variables::{SECTIONS, TABLES, Variable, is_secret, path_of};

/// What every service reads besides its own section.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Common {
    /// The token that services and callers share.
    pub token: Option<SecretString>,
    /// Where stores, backups and evidence files are.
    pub data_dir: DataDir,
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

impl Common {
    /// The file as it is now, under the variables as they were at the start.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn read_again(&self) -> Result<Settings, ConfigError> {
        let variables = self.secrets.0.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        Settings::load(self.file.as_deref(), variables)
    }
}

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
}

impl FromIterator<(String, String)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().map(|(name, value)| (name, value.into())).collect()))
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

/// The address of each service, as the others call it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Urls {
    /// The edge.
    pub tentaculo: Url,
    /// The orchestrator.
    pub madre: Url,
    /// The gateway.
    pub switch: Url,
    /// The mock provider.
    pub mock_provider: Url,
    /// The API for people.
    pub operator: Url,
}

impl Default for Urls {
    fn default() -> Self {
        Self {
            tentaculo: loopback(8000),
            madre: loopback(8001),
            switch: loopback(8002),
            mock_provider: loopback(8003),
            operator: loopback(8011),
        }
    }
}

/// `http://127.0.0.1:{port}/`.
pub fn loopback(port: u16) -> Url {
    let mut url = Url::parse("http://127.0.0.1/").expect("a literal URL");
    // Only URLs without a host refuse a port.
    let _ = url.set_port(Some(port));
    url
}

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
        let file = file.or_else(|| Some(PathBuf::from("vx11.toml")).filter(|path| path.exists()));
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
            let names = self.secrets.0.keys();
            names.filter_map(|name| Some((name.clone(), path_of(name).ok()??))).collect::<Vec<_>>()
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
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct Section {
        count: u32,
        chat: Chat,
        #[serde(skip_serializing)]
        api_key: Option<SecretString>,
    }

    #[derive(Debug, Default, Deserialize, Serialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Chat {
        limit: u32,
        burst: u32,
        #[serde(with = "humantime_serde")]
        window: Duration,
        names: Vec<String>,
        place: Option<String>,
    }

    impl Default for Section {
        fn default() -> Self {
            let window = Duration::from_millis(90_500);
            let chat = Chat { limit: 1, burst: 50, window, names: vec!["a".to_owned(), "b".to_owned()], place: None };
            Self { count: 3, chat, api_key: None }
        }
    }

    fn load(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        Settings::load(None, variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn variables_reach_nested_fields_over_defaults() {
        let settings = load(&[("VX11_OPERATOR__CHAT__LIMIT", "7"), ("HOME", "/")]).expect("loads");
        let section: Section = settings.section("operator").expect("typed");
        assert_eq!((section.count, section.chat.limit), (3, 7));
        assert_eq!(settings.section::<Section>("madre").expect("defaults").chat, Section::default().chat);
    }

    #[test]
    fn a_table_that_is_set_in_part_keeps_the_sections_defaults_for_the_rest() {
        let settings = load(&[
            ("VX11_OPERATOR__CHAT__LIMIT", "7"),
            ("VX11_OPERATOR__CHAT__NAMES", "[\"c\"]"),
            ("VX11_OPERATOR__API_KEY", "12345"),
        ]);
        let section: Section = settings.expect("loads").section("operator").expect("typed");
        let names = vec!["c".to_owned()];
        assert_eq!(section.chat, Chat { limit: 7, names, ..Section::default().chat });
        assert_eq!(section.api_key.expect("set").expose_secret(), "12345");
    }

    #[test]
    fn a_token_of_digits_is_text_and_either_name_sets_it() {
        for name in ["VX11_TOKEN", "VX11_TENTACULO_LINK_TOKEN"] {
            let common = load(&[(name, "12345")]).expect("loads").common().expect("typed");
            assert_eq!(common.token.expect("set").expose_secret(), "12345");
        }
    }

    #[test]
    fn an_empty_token_never_counts() {
        let common = load(&[("VX11_TOKEN", ""), ("VX11_TENTACULO_LINK_TOKEN", "real")]).expect("loads").common();
        assert_eq!(common.expect("typed").token.expect("set").expose_secret(), "real");
        assert!(load(&[("VX11_TOKEN", "")]).expect("loads").common().expect("typed").token.is_none());
        for (name, content) in [("empty", "\n"), ("spaced", "two words")] {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join(name);
            std::fs::write(&file, content).expect("written");
            let settings = load(&[("VX11_TOKEN_FILE", file.to_str().expect("UTF-8"))]).expect("loads");
            assert!(settings.common().is_err(), "{name}");
        }
    }

    #[test]
    fn a_client_is_given_some_time() {
        for (limit, is_fine) in [("0s", false), ("0ms", false), ("1ms", true), ("30days", true)] {
            let common = load(&[("VX11_HTTP__SEND_TIMEOUT", limit)]).expect("loads").common();
            assert_eq!(common.is_ok(), is_fine, "{limit}");
        }
    }

    #[test]
    fn a_secrets_file_that_cannot_be_read_stops_the_start() {
        let refused = load(&[("VX11_TOKEN_FILE", "/no/such/file")]).expect("loads").common().expect_err("refused");
        assert!(refused.to_string().starts_with("VX11_TOKEN_FILE: cannot read /no/such/file"), "{refused}");
    }

    #[test]
    fn a_mistyped_secret_is_not_repeated() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("vx11.toml");
        std::fs::write(&file, "token = 123456789").expect("written");
        let settings = Settings::load(Some(&file), []).expect("loads");
        let expected =
            |field: &str, line: u32| format!("{field}: must be text in quotes, in {}, line {line}", file.display());
        assert_eq!(settings.common().expect_err("refused").to_string(), expected("token", 1));
        std::fs::write(&file, "[operator]\napi_key = 123456789").expect("written");
        let settings = Settings::load(Some(&file), []).expect("loads");
        let error = settings.section::<Section>("operator").expect_err("refused").to_string();
        assert_eq!(error, expected("operator.api_key", 2));
    }

    #[test]
    fn a_mistake_in_the_file_is_shown_with_its_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("vx11.toml");
        for (text, variables, expected) in [
            ("[operator]\n\ncount = \"many\"", &[][..], ", line 3"),
            ("[operator]\n[operator.chat]\nlimti = 1", &[], ", line 3"),
            ("[operator]\n\ncount = 1", &[("VX11_OPERATOR__COUNT", "many")], "in the variable VX11_OPERATOR__COUNT"),
        ] {
            std::fs::write(&file, text).expect("written");
            let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            let settings = Settings::load(Some(&file), variables).expect("loads");
            let error = settings.section::<Section>("operator").expect_err("a mistake").to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let unknown_field = load(&[("VX11_OPERATOR__CONT", "1")]).expect("loads").section::<Section>("operator");
        assert!(unknown_field.expect_err("unknown field").to_string().contains("cont"));
        let wrong_type = load(&[("VX11_OPERATOR__COUNT", "many")]).expect("loads").section::<Section>("operator");
        let wrong_type = wrong_type.expect_err("wrong type").to_string();
        assert!(wrong_type.contains("count") && wrong_type.contains("VX11_OPERATOR__COUNT"), "{wrong_type}");
        assert!(load(&[("VX11_OPERATR__COUNT", "1")]).expect_err("unknown section").to_string().contains("operatr"));
        assert!(load(&[("VX11_SWITCH_PORT", "tcp://10.0.0.1:8002")]).is_ok(), "set by Kubernetes, not by us");
    }

    #[test]
    fn retention_is_set_by_table() {
        let common = load(&[("VX11_RETENTION_PERFORMANCE_LOGS_DAYS", "3")]).expect("loads").common().expect("typed");
        assert_eq!(common.retention_days.get("performance_logs"), Some(&3));
    }

    #[test]
    fn retention_of_no_table_or_of_no_day_is_refused() {
        for (variable, days, expected) in [
            ("VX11_RETENTION_TURN_DAYS", "30", "retention_days.turn: there is no such table; the tables are copilot_"),
            ("VX11_RETENTION_TURNS_DAYS", "0", "retention_days.turns: must be 1 day or more"),
        ] {
            let refused = load(&[(variable, days)]).expect("loads").common().expect_err("refused").to_string();
            assert!(refused.starts_with(expected) && refused.ends_with(&format!("set by {variable}")), "{refused}");
        }
    }
}
