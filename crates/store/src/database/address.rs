//! Where a PostgreSQL database is, as its URL says, and how it is connected to.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Longest wait for a connection, where the URL has no `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long what was sent may stay without an answer from the other side's system.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// A database's URL, read.
#[derive(Clone)]
pub(crate) struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

/// A URL that names no PostgreSQL database. What it holds is not repeated: there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be `postgres://user:password@host:port/database`, as libpq reads it")]
pub struct InvalidUrl;

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let mut config: Config = url.parse().map_err(|_| InvalidUrl)?;
        if config.get_hosts().is_empty() {
            return Err(InvalidUrl);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.tcp_user_timeout(UNACKNOWLEDGED).application_name("vx11");
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(tls()?)),
        };
        Ok(Self { config, tls })
    }

    /// The server, for people. Nothing in it is secret.
    pub(crate) fn name(&self) -> String {
        let name = self.config.get_dbname().unwrap_or("postgres");
        let host = match self.config.get_hosts() {
            [tokio_postgres::config::Host::Tcp(host), ..] => host.clone(),
            _ => "a socket".to_owned(),
        };
        format!("postgres://{host}/{name}")
    }

    pub(super) async fn connect(&self) -> Result<AsyncPgConnection, String> {
        match &self.tls {
            Some(tls) => self.connect_with(tls.clone()).await,
            None => self.connect_with(NoTls).await,
        }
    }

    async fn connect_with<T>(&self, tls: T) -> Result<AsyncPgConnection, String>
    where
        T: MakeTlsConnect<Socket, Stream: Send + Unpin + 'static, TlsConnect: TlsConnect<Socket, Future: Send> + Send>,
    {
        let limit = self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        let connecting = async {
            let (client, connection) = self.config.connect(tls).await.map_err(|error| said(&error))?;
            let conn = AsyncPgConnection::try_from_client_and_connection(client, connection);
            conn.await.map_err(|error| error.to_string())
        };
        let late = |_| format!("no connection within {} ms", limit.as_millis());
        tokio::time::timeout(limit, connecting).await.map_err(late)?
    }
}

/// An error with its causes, in which the server's own words are.
fn said(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The certificates that the system trusts.
fn tls() -> Result<ClientConfig, InvalidUrl> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|_| InvalidUrl)?;
    Ok(builder.with_platform_verifier().map_err(|_| InvalidUrl)?.with_no_client_auth())
}
