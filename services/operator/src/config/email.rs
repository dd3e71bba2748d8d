//! How e-mail goes out.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[operator.email]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmailConfig {
    /// The variable with the mail server's address, which holds a password, or with `_FILE` behind it the file that has
    /// it: `smtp://user:password@host:587`, or `smtps://…:465`.
    pub smtp_url_env: String,
    /// Who it is from: `VX11 <vx11@example.com>`.
    pub from: Option<String>,
    /// Where a pilot finds a request: an address with `{request_id}` in it, and `{org_id}` where it is wanted.
    pub link: Option<String>,
    /// Whether the arguments of what waits to be run are in it.
    pub show_arguments: bool,
    /// Domains that may be written to; any where empty. It holds for subscriptions and for the addresses of pilots.
    pub allowed_domains: Vec<String>,
    /// Certificates in PEM that the mail server's may be signed with, beside those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Longest attempt.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The most that is waited after the first attempt; three times as much after each one more, up to an hour.
    #[serde(with = "humantime_serde")]
    pub retry_base: Duration,
}

impl Default for EmailConfig {
    fn default() -> Self {
        Self {
            smtp_url_env: "VX11_SMTP_URL".to_owned(),
            from: None,
            link: None,
            show_arguments: true,
            allowed_domains: Vec::new(),
            ca_file: None,
            timeout: Duration::from_secs(30),
            retry_base: Duration::from_secs(5),
        }
    }
}
