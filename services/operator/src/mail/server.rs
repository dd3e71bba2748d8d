//! The mail server: where it is, who we are there, and that nobody listens on the way.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use url::Url;
use vx11_chassis::config::Secrets;

pub(super) use lettre::transport::smtp::Error as SmtpError;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// The mail server. Its address is read when it is needed, so that a password which changes in its file is used from
/// then on.
pub(super) struct Server {
    variable: String,
    ca_file: Option<PathBuf>,
    timeout: Duration,
    secrets: Secrets,
    /// Of the address as it was read last.
    kept: Mutex<Option<(String, Transport)>>,
}

impl Server {
    pub(super) fn new(variable: String, ca_file: Option<PathBuf>, timeout: Duration, secrets: Secrets) -> Self {
        Self { variable, ca_file, timeout, secrets, kept: Mutex::new(None) }
    }

    /// What sends to it, one connection a message. `None`: none is named.
    ///
    /// # Errors
    /// When its address cannot be read, or used. The address itself is in no error: it holds a password.
    pub(super) fn transport(&self) -> anyhow::Result<Option<Transport>> {
        let url = self.secrets.get(&self.variable)?;
        let Some(url) = url.filter(|url| !url.expose_secret().trim().is_empty()) else { return Ok(None) };
        let url = url.expose_secret().trim();
        let mut kept = self.kept.lock();
        if let Some((_, transport)) = kept.as_ref().filter(|(known, _)| known == url) {
            return Ok(Some(transport.clone()));
        }
        let transport = self.open(url)?;
        *kept = Some((url.to_owned(), transport.clone()));
        Ok(Some(transport))
    }

    fn open(&self, url: &str) -> anyhow::Result<Transport> {
        let mut url: Url = url.parse().context("it is no address such as smtp://user:password@host:587")?;
        let host = url.host_str().context("it names no host")?.to_owned();
        let asked = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
        let tls = match (url.scheme(), asked.as_deref()) {
            ("smtps", None | Some("required")) => Tls::Wrapper(self.tls(&host)?),
            // To go on in clear where a server, or somebody before it, does not offer it would protect nothing.
            ("smtp", None | Some("required")) => {
                url.set_query(Some("tls=required"));
                Tls::Required(self.tls(&host)?)
            }
            ("smtp", Some("none")) => {
                url.set_query(None);
                Tls::None
            }
            ("smtp" | "smtps", Some(_)) => bail!("`tls` is `required`, or `none` with smtp://"),
            _ => bail!("it must begin with smtp:// or smtps://"),
        };
        if !url.username().is_empty() && url.password().is_none() {
            bail!("it has a user and no password");
        }
        let builder = Transport::from_url(url.as_str()).map_err(|_| anyhow::anyhow!("it cannot be used"))?;
        Ok(builder.tls(tls).timeout(Some(self.timeout)).build())
    }

    fn tls(&self, host: &str) -> anyhow::Result<TlsParameters> {
        let mut parameters = TlsParameters::builder(host.to_owned());
        if let Some(file) = &self.ca_file {
            let named = || format!("operator.email.ca_file: {}", file.display());
            let pem = std::fs::read(file).with_context(named)?;
            parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).with_context(named)?);
        }
        Ok(parameters.build()?)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("variable", &self.variable).finish_non_exhaustive()
    }
}
