//! One attempt: look the host up, connect to what may be called, sign, send, and see what the receiver says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use rustls::ClientConfig;
use tokio::sync::OnceCell;
use url::{Host, Url};
use vx11_http_client::{Client, Connector, Request, Response};

use super::reach::Reach;
use super::signature::{SigningKeys, sign};
use crate::clients::system_certificates;
use crate::control::Due;
use crate::outbox::Failure;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What is said of a host that cannot be called, whatever the reason: it must not be learnt which names there are here,
/// or where they lead.
const NOT_FOUND: &str = "the host is not found, or leads to no address that webhooks may be sent to";
/// Longest wait for a connection; the attempt's own time limit holds beside it.
const CONNECT: Duration = Duration::from_secs(10);

/// Sends webhooks.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) keys: SigningKeys,
    allow_private: bool,
    /// The system's certificates, read when they are first needed.
    tls: OnceCell<Arc<ClientConfig>>,
}

impl Sender {
    pub(super) fn new(keys: SigningKeys, allow_private: bool) -> Self {
        Self { keys, allow_private, tls: OnceCell::new() }
    }

    /// Sends `due` once. The caller bounds the wait.
    pub(super) async fn send(&self, due: &Due, now: Timestamp) -> Result<(), Failure> {
        let url = Url::parse(&due.url).map_err(|error| Failure::Final(format!("no address: {error}")))?;
        // Looked up once, and connected to what was found: a name that leads elsewhere a moment later leads nowhere.
        let addresses = self.addresses(&url).await?;
        let is_public = addresses.iter().all(|address| Reach::of(address.ip()) == Reach::Public);
        let client = self.client(&url, addresses).await.map_err(|error| Failure::again(format!("{error:#}")))?;
        let request = self.request(&client, &url, due, now)?;
        let response = request.send().await.map_err(|error| {
            let cause = chain(&error);
            tracing::info!(delivery = due.id, cause, "a webhook has no answer");
            // Nobody learns by it what listens in a private network.
            if is_public { Failure::again(cause) } else { Failure::no_answer() }
        })?;
        // What the body says is nobody's business here: the connection is dropped with it.
        judge(&response)
    }

    /// The addresses of the host that may be called.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, Failure> {
        let port = url.port_or_known_default().unwrap_or(443);
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::from(address),
            Some(Host::Ipv6(address)) => IpAddr::from(address),
            Some(Host::Domain(name)) => return self.addresses_of(name, port).await,
            None => return Err(Failure::Final("no host".to_owned())),
        };
        Reach::of(literal).admitted(self.allow_private).map_err(Failure::Final)?;
        Ok(vec![(literal, port).into()])
    }

    /// The addresses that a name leads to and that may be called. One that leads nowhere may lead somewhere later.
    async fn addresses_of(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let found = tokio::net::lookup_host((name, port)).await.map_err(|error| {
            tracing::info!(name, %error, "a webhook's host is not found");
            Failure::again(NOT_FOUND)
        })?;
        let judged = found.filter(|address| match Reach::of(address.ip()).admitted(self.allow_private) {
            Ok(()) => true,
            Err(why) => {
                tracing::info!(name, address = %address.ip(), why, "a webhook's host is not called");
                false
            }
        });
        let fit: Vec<SocketAddr> = judged.collect();
        if fit.is_empty() { Err(Failure::again(NOT_FOUND)) } else { Ok(fit) }
    }

    /// A client for one request: what it keeps is dropped with it. Proxies are not asked, because what they would
    /// connect to cannot be checked here.
    async fn client(&self, url: &Url, addresses: Vec<SocketAddr>) -> anyhow::Result<Client> {
        let connector = if url.scheme() == "https" {
            let tls = self.tls.get_or_try_init(async || system_certificates()).await?;
            Connector::tls(url, tls.clone(), None, CONNECT)?
        } else {
            Connector::plain(url, CONNECT)?
        };
        Ok(Client::new(connector.to(addresses)))
    }

    fn request(&self, client: &Client, url: &Url, due: &Due, now: Timestamp) -> Result<Request, Failure> {
        let keys = self.keys.of(&due.org).map_err(|error| Failure::again(error.to_string()))?;
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let target = PathAndQuery::try_from(target).map_err(|error| Failure::Final(error.to_string()))?;
        let timestamp = now.as_second();
        let signature = sign(&keys, &due.id, timestamp, &due.body);
        let value = |text: &str| HeaderValue::from_str(text).map_err(|error| Failure::Final(error.to_string()));
        Ok(client
            .request(Method::POST, target)
            .header(CONTENT_TYPE, JSON)
            .header(WEBHOOK_ID, value(&due.id)?)
            .header(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp))
            .header(WEBHOOK_SIGNATURE, value(&signature)?)
            .body(Bytes::from(due.body.clone())))
    }
}

fn judge(response: &Response) -> Result<(), Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    if status == StatusCode::GONE {
        return Err(Failure::Final("HTTP 410: the receiver wants no more".to_owned()));
    }
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let error = if status.is_redirection() {
        format!("HTTP {}: redirects are not followed", status.as_u16())
    } else {
        format!("HTTP {}", status.as_u16())
    };
    Err(Failure::Again { error, not_before: seconds.map(Duration::from_secs) })
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use vx11_testing::Scripted;

    use super::*;

    /// The receiver at `url`, which is local, as it is called where private addresses are refused.
    async fn refused(url: &str) -> Failure {
        attempt(url, false).await
    }

    async fn attempt(url: &str, allow_private: bool) -> Failure {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let keys = SigningKeys::new("HOOKS".to_owned(), [("HOOKS".to_owned(), secret)].into_iter().collect());
        let due = Due {
            org: "default".to_owned(),
            id: "msg_1".to_owned(),
            url: url.to_owned(),
            body: "{}".to_owned(),
            attempt: 1,
            created_at: "2026-11-22T10:00:00.000Z".to_owned(),
        };
        Sender::new(keys, allow_private).send(&due, Timestamp::UNIX_EPOCH).await.expect_err("refused")
    }

    #[tokio::test]
    async fn what_leads_to_a_private_address_is_not_called_and_a_name_does_not_say_where_it_leads() {
        let receiver = Scripted::well().await;
        let Failure::Final(error) = refused(&receiver.url).await else { panic!("it is not tried again") };
        assert!(error.contains("allow_private"), "{error}");
        // As a name would that led elsewhere when it was admitted.
        let by_name = refused(&receiver.url.replace("127.0.0.1", "localhost")).await;
        let nowhere = refused("http://no-such-name.invalid/").await;
        assert_eq!(by_name, Failure::again(NOT_FOUND));
        assert_eq!(by_name, nowhere, "nobody learns which names there are");
        assert_eq!(receiver.connections(), 0);
    }

    #[tokio::test]
    async fn of_a_private_receiver_nothing_is_told_but_what_it_answers() {
        let closed = attempt(&vx11_testing::nobody(), true).await;
        let silent = Scripted::always([vx11_testing::Act::Reset]).await;
        assert_eq!(closed, Failure::no_answer());
        assert_eq!(attempt(&silent.url, true).await, Failure::no_answer());
    }
}
