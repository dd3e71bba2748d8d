//! `VX11_*` variables: which ones are configuration, and where each belongs.

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::ConfigError;

/// The sections there are; a variable or a table with another name is a mistake worth stopping for.
pub(super) const SECTIONS: &[&str] =
    &["urls", "telemetry", "http", "tentaculo", "operator", "switch", "madre", "mock_provider"];

/// The tables whose rows are kept for a number of days; another name is a mistake that would keep them too long.
pub(super) const TABLES: &[&str] = &[
    "copilot_actions_log",
    "interventions",
    "performance_logs",
    "performance_minutes",
    "plans",
    "power_windows",
    "sessions",
    "turns",
    "usage_days",
    "usage_ledger",
];

/// Names without a section, and where they belong.
const ALIASES: &[(&str, &str)] = &[
    ("VX11_TOKEN", "token"),
    ("VX11_TENTACULO_LINK_TOKEN", "token"),
    ("VX11_DATA_DIR", "data_dir"),
    ("VX11_DATABASE_URL", "database_url"),
    ("VX11_REDIS_URL", "redis_url"),
    ("VX11_TENTACULO_URL", "urls.tentaculo"),
    ("VX11_MADRE_URL", "urls.madre"),
    ("VX11_SWITCH_URL", "urls.switch"),
    ("VX11_MOCK_PROVIDER_URL", "urls.mock_provider"),
    ("VX11_OPERATOR_URL", "urls.operator"),
    ("VX11_LOG_LEVEL", "telemetry.log_level"),
    ("VX11_LOG_FORMAT", "telemetry.log_format"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp.endpoint"),
];

/// One variable that is configuration. As a figment source it gives errors its own name.
pub(super) struct Variable {
    name: String,
    path: String,
    value: Value,
}

impl Variable {
    /// The variable `name` with its text; `None` for what is not configuration.
    ///
    /// # Errors
    /// When it names a section that no service has.
    pub(super) fn parse(name: &str, text: &str) -> Result<Option<Self>, ConfigError> {
        let Some(path) = path_of(name)? else { return Ok(None) };
        let value = value_of(&path, text);
        Ok(Some(Self { name: name.to_owned(), path, value }))
    }
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the variable {}", self.name)).interpolater(|_, path| path.join("."))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(&self.path, self.value.clone()).into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(nested))
    }
}

/// Where a variable belongs, as a dotted path; `None` for what is not configuration.
pub(super) fn path_of(name: &str) -> Result<Option<String>, ConfigError> {
    if let Some((_, path)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return Ok(Some((*path).to_owned()));
    }
    let Some(rest) = name.strip_prefix("VX11_") else { return Ok(None) };
    if let Some(table) = rest.strip_prefix("RETENTION_").and_then(|rest| rest.strip_suffix("_DAYS")) {
        return Ok(Some(format!("retention_days.{}", table.to_ascii_lowercase())));
    }
    // Kubernetes sets VX11_SWITCH_PORT and the like for every Service: what has no section is not ours to judge.
    if !rest.contains("__") {
        return Ok(None);
    }
    let path = rest.to_ascii_lowercase().replace("__", ".");
    let section = path.split('.').next().unwrap_or_default();
    if SECTIONS.contains(&section) {
        Ok(Some(path))
    } else {
        Err(ConfigError::UnknownSection { origin: name.to_owned(), section: section.to_owned() })
    }
}

/// A variable's text as a value: numbers, booleans and `[lists]` as in TOML, all else as text.
fn value_of(path: &str, text: &str) -> Value {
    // A token of digits is still text.
    if is_secret(path.rsplit('.').next().unwrap_or(path)) {
        return Value::from(text);
    }
    text.parse().unwrap_or_else(|never| match never {})
}

/// Whether a field of this name holds a secret, which errors must not repeat.
pub(super) fn is_secret(field: &str) -> bool {
    field == "token" || field.ends_with("_key") || field.ends_with("_token")
}
