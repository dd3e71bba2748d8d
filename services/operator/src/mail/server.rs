//! The mail server: where it is, who we are there, that nobody listens on the way, and what it says of a message.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, Tls, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use lettre::transport::smtp::{SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use url::Url;
use vx11_chassis::config::Secrets;

pub(super) use lettre::transport::smtp::Error as SmtpError;

/// The mail server. Its address is read when it is needed, so that a password which changes in its file is used from
/// then on.
pub(super) struct Server {
    variable: String,
    ca_file: Option<PathBuf>,
    timeout: Duration,
    secrets: Secrets,
    /// Of the address as it was read last.
    kept: Mutex<Option<(String, Relay)>>,
}

/// Where the mail server is and who we are there, as its address says.
#[derive(Clone)]
pub(super) struct Relay {
    host: String,
    port: u16,
    timeout: Duration,
    hello: ClientId,
    tls: Tls,
    login: Option<Credentials>,
}

/// Why a message was not taken.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The server is away, or takes nothing from us, whatever it is.
    Server(SmtpError),
    /// It was said of the recipient or the message.
    Message(SmtpError),
}

impl Server {
    pub(super) fn new(variable: String, ca_file: Option<PathBuf>, timeout: Duration, secrets: Secrets) -> Self {
        Self { variable, ca_file, timeout, secrets, kept: Mutex::new(None) }
    }

    /// Where it is. `None`: none is named.
    ///
    /// # Errors
    /// When its address cannot be read, or used. The address itself is in no error: it holds a password.
    pub(super) fn relay(&self) -> anyhow::Result<Option<Relay>> {
        let url = self.secrets.get(&self.variable)?;
        let Some(url) = url.filter(|url| !url.expose_secret().trim().is_empty()) else { return Ok(None) };
        let url = url.expose_secret().trim();
        let mut kept = self.kept.lock();
        if let Some((_, relay)) = kept.as_ref().filter(|(known, _)| known == url) {
            return Ok(Some(relay.clone()));
        }
        let relay = self.read(url)?;
        *kept = Some((url.to_owned(), relay.clone()));
        Ok(Some(relay))
    }

    fn read(&self, url: &str) -> anyhow::Result<Relay> {
        let url: Url = url.parse().context("it is no address such as smtp://user:password@host:587")?;
        let host = url.host_str().context("it names no host")?.to_owned();
        let asked = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
        let (tls, port) = match (url.scheme(), asked.as_deref()) {
            ("smtps", None | Some("required")) => (Tls::Wrapper(self.tls(&host)?), SUBMISSIONS_PORT),
            // To go on in clear where a server, or somebody before it, does not offer it would protect nothing.
            ("smtp", None | Some("required")) => (Tls::Required(self.tls(&host)?), SUBMISSION_PORT),
            ("smtp", Some("none")) => (Tls::None, SMTP_PORT),
            ("smtp" | "smtps", Some(_)) => bail!("`tls` is `required`, or `none` with smtp://"),
            _ => bail!("it must begin with smtp:// or smtps://"),
        };
        if !url.username().is_empty() && url.password().is_none() {
            bail!("it has a user and no password");
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from);
        let login = url.password().map(|password| Ok(Credentials::new(decoded(url.username())?, decoded(password)?)));
        let login = login.transpose().map_err(|_: std::str::Utf8Error| anyhow::anyhow!("it cannot be used"))?;
        let name = url.path().trim_matches('/');
        let hello = if name.is_empty() { ClientId::default() } else { ClientId::Domain(name.to_owned()) };
        Ok(Relay { port: url.port().unwrap_or(port), host, timeout: self.timeout, hello, tls, login })
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

impl Relay {
    /// Sends `message`, by a connection of its own.
    pub(super) async fn send(&self, message: &Message) -> Result<(), NotTaken> {
        let mut server = self.connect().await.map_err(NotTaken::Server)?;
        let taken = hand_over(&mut server, message).await;
        server.abort().await;
        taken
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let from_the_start = if let Tls::Wrapper(tls) = &self.tls { Some(tls.clone()) } else { None };
        let (address, timeout) = ((self.host.as_str(), self.port), Some(self.timeout));
        let mut server =
            AsyncSmtpConnection::connect_tokio1(address, timeout, &self.hello, from_the_start, None).await?;
        if let Tls::Required(tls) = &self.tls {
            server.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(login) = &self.login {
            server.auth(DEFAULT_MECHANISMS, login).await?;
        }
        Ok(server)
    }
}

/// Step by step, as what an answer means depends on what it is an answer to.
async fn hand_over(server: &mut AsyncSmtpConnection, message: &Message) -> Result<(), NotTaken> {
    let (envelope, text) = (message.envelope(), message.formatted());
    let mut parameters = Vec::new();
    if envelope.to().iter().chain(envelope.from()).any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !text.is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let mail = Mail::new(envelope.from().cloned(), parameters);
    server.command(mail).await.map_err(NotTaken::Server)?;
    for to in envelope.to() {
        // Servers say only now that they want nothing from us: our address is blocked (554), or we have to log in (530).
        server.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(|error| of_message(error, &[421, 530, 554]))?;
    }
    server.command(Data).await.map_err(|error| of_message(error, &[421]))?;
    server.message(&text).await.map(drop).map_err(|error| of_message(error, &[421]))
}

/// What was answered of a message, but for the codes which say something of the server, as silence does.
fn of_message(error: SmtpError, but: &[u16]) -> NotTaken {
    match error.status().map(u16::from) {
        Some(code) if !but.contains(&code) => NotTaken::Message(error),
        _ => NotTaken::Server(error),
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("variable", &self.variable).finish_non_exhaustive()
    }
}
