//! How connections come about: TCP, through a proxy where one is set, with TLS where the address says `https`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tower_service::Service;
use url::{Host, Url};

use crate::connection::Connection;
use crate::error::{Error, InvalidAddress};

/// How long a connection may be silent before its other side is asked whether it is there, and between two questions.
const PROBE_AFTER: Duration = Duration::from_secs(15);
/// Questions without an answer after which it is not.
const PROBES: u32 = 3;
/// How long what was sent may go without a word that it has arrived (RFC 5482).
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// What bytes go over.
pub(crate) type Io = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A proxy that connects to whoever it is asked for (RFC 9110, section 9.3.6).
#[derive(Clone, Debug)]
pub struct Proxy {
    address: Uri,
    credentials: Option<HeaderValue>,
}

impl Proxy {
    /// The one that the environment names for `address`: `HTTPS_PROXY` or `ALL_PROXY`, where `NO_PROXY` does not except
    /// it.
    ///
    /// # Errors
    /// When it is not spoken to over plain HTTP: other proxies are not supported.
    pub fn from_env(address: &Url) -> Result<Option<Self>, InvalidAddress> {
        Self::named_by(&Matcher::from_env(), address)
    }

    fn named_by(variables: &Matcher, address: &Url) -> Result<Option<Self>, InvalidAddress> {
        // At the proxy it would be another machine.
        if is_loopback(address) {
            return Ok(None);
        }
        let Some(found) = uri(address).ok().and_then(|uri| variables.intercept(&uri)) else { return Ok(None) };
        if found.uri().scheme_str() != Some("http") {
            let address = found.uri().authority().map_or_else(String::new, |authority| authority.host().to_owned());
            return Err(InvalidAddress { address, reason: "a proxy has to be an http:// address" });
        }
        Ok(Some(Self { address: found.uri().clone(), credentials: found.basic_auth().cloned() }))
    }
}

/// Makes connections to one origin. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    origin: Uri,
    limit: Duration,
    way: Way,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

#[derive(Clone)]
enum Way {
    Direct(HttpConnector),
    Through(Tunnel<HttpConnector>),
    To(Arc<[SocketAddr]>),
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Connector {
    /// Over plain HTTP, to where `address` is. `limit` bounds the making of a connection.
    ///
    /// # Errors
    /// When `address` is not an `http://` one.
    pub fn plain(address: &Url, limit: Duration) -> Result<Self, InvalidAddress> {
        match address.scheme() {
            "http" => Ok(Self { origin: uri(address)?, limit, way: Way::Direct(tcp(limit)), tls: None }),
            _ => Err(invalid(address, "it has to begin with http://")),
        }
    }

    /// Over TLS, through `proxy` where there is one. `limit` bounds the making of a connection, with its handshakes.
    ///
    /// # Errors
    /// When `address` is not an `https://` one, or names no host that a certificate could be for.
    pub fn tls(
        address: &Url,
        config: Arc<ClientConfig>,
        proxy: Option<Proxy>,
        limit: Duration,
    ) -> Result<Self, InvalidAddress> {
        if address.scheme() != "https" {
            return Err(invalid(address, "it has to begin with https://"));
        }
        let host = address.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|_| invalid(address, "its host is not a name"))?;
        let way = match proxy {
            None => Way::Direct(tcp(limit)),
            Some(Proxy { address, credentials }) => {
                let tunnel = Tunnel::new(address, tcp(limit));
                Way::Through(match credentials {
                    Some(credentials) => tunnel.with_auth(credentials),
                    None => tunnel,
                })
            }
        };
        Ok(Self { origin: uri(address)?, limit, way, tls: Some((TlsConnector::from(config), name)) })
    }

    /// Connects to one of these and to nothing else, wherever the name of the host leads; what is asked for, and whose
    /// certificate is wanted, stays as it is. For addresses that were looked up and found fit.
    #[must_use]
    pub fn to(self, addresses: impl Into<Arc<[SocketAddr]>>) -> Self {
        Self { way: Way::To(addresses.into()), ..self }
    }

    /// The host and port, as `Host` says them.
    pub(crate) fn host(&self) -> HeaderValue {
        let authority = self.origin.authority().map_or("", |authority| authority.as_str());
        HeaderValue::from_str(authority).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// A connection, made within the limit, and within that of the request which it is for.
    pub(crate) async fn connect(&self, requests: Option<Duration>) -> Result<Box<Connection>, Error> {
        let hurried = requests.filter(|limit| *limit < self.limit);
        let connected = tokio::time::timeout(hurried.unwrap_or(self.limit), async {
            let origin = self.origin.clone();
            let tcp = match &self.way {
                Way::Direct(tcp) => tcp.clone().call(origin).await.map_err(Error::connect)?.into_inner(),
                Way::Through(tunnel) => tunnel.clone().call(origin).await.map_err(Error::connect)?.into_inner(),
                Way::To(addresses) => {
                    let tcp = TcpStream::connect(&addresses[..]).await.map_err(Error::connect)?;
                    tune(&tcp).map_err(Error::connect)?;
                    tcp
                }
            };
            match &self.tls {
                None => Connection::new(Either::Left(tcp)).await,
                Some((tls, name)) => {
                    let stream = tls.connect(name.clone(), tcp).await.map_err(Error::connect)?;
                    Connection::new(Either::Right(Box::new(stream))).await
                }
            }
        });
        connected.await.unwrap_or_else(|_| {
            Err(if hurried.is_some() { Error::Hurried } else { Error::connect("no connection within the time limit") })
        })
    }
}

fn tcp(limit: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(limit));
    // A peer that went away without a word is noticed while its answer is waited for, not at the end of the wait.
    tcp.set_keepalive(Some(PROBE_AFTER));
    tcp.set_keepalive_interval(Some(PROBE_AFTER));
    tcp.set_keepalive_retries(Some(PROBES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    tcp
}

/// What [`tcp`] asks of its connections, for one that it did not make.
fn tune(tcp: &TcpStream) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_AFTER).with_retries(PROBES);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Scheme, host and port of `address`; credentials in it are not sent.
fn uri(address: &Url) -> Result<Uri, InvalidAddress> {
    let host = address.host_str().ok_or_else(|| invalid(address, "it has no host"))?;
    let authority = match address.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let uri = Uri::builder().scheme(address.scheme()).authority(authority).path_and_query("/").build();
    uri.map_err(|_| invalid(address, "it is no address"))
}

fn invalid(address: &Url, reason: &'static str) -> InvalidAddress {
    let mut shown = address.clone();
    // Either may be a secret.
    let _ = shown.set_username("").and_then(|()| shown.set_password(None));
    shown.set_query(None);
    InvalidAddress { address: shown.into(), reason }
}

#[cfg(test)]
mod tests;
