use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::Client;

const PATIENCE: Duration = Duration::from_secs(20);

fn url(text: &str) -> Url {
    text.parse().expect("a URL")
}

#[test]
fn an_origin_is_host_and_port_without_credentials() {
    for (address, host) in [
        ("http://h/v1", "h"),
        ("http://h:80/v1", "h"),
        ("http://user:secret@h:8001/v1?q", "h:8001"),
        ("http://[::1]:9/", "[::1]:9"),
    ] {
        let connector = Connector::plain(&url(address), PATIENCE).expect("valid");
        assert_eq!(connector.host(), host, "{address}");
    }
}

#[test]
fn what_cannot_be_called_is_refused_without_its_secrets() {
    let refused = Connector::plain(&url("ftp://user:secret@h/?key=secret"), PATIENCE).expect_err("refused");
    assert_eq!(refused.to_string(), "`ftp://h/` cannot be called: it has to begin with http://");
}

#[test]
fn a_proxy_is_found_unless_the_address_is_excepted() {
    let variables = Matcher::builder().https("http://user:secret@proxy:3128").no("internal.example").build();
    let found = |address| Proxy::named_by(&variables, &url(address)).expect("supported");
    assert!(found("https://api.example/v1").is_some_and(|proxy| proxy.credentials.is_some()));
    for here in ["https://internal.example/v1", "https://localhost/v1", "https://127.0.0.1:1/", "https://[::1]/"] {
        assert!(found(here).is_none(), "{here}");
    }
    let variables = Matcher::builder().https("socks5://user:secret@proxy:1080").build();
    let refused = Proxy::named_by(&variables, &url("https://api.example/v1")).expect_err("refused");
    assert_eq!(refused.to_string(), "`proxy` cannot be called: a proxy has to be an http:// address");
}

/// A certificate for `localhost` and `api.example`: the server that shows it, and the client that trusts it alone.
fn certificate() -> (TlsAcceptor, Arc<ClientConfig>) {
    let ring = || Arc::new(rustls::crypto::ring::default_provider());
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "api.example".to_owned()]).expect("a certificate");
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let server = rustls::ServerConfig::builder_with_provider(ring()).with_safe_default_protocol_versions();
    let server =
        server.expect("versions").with_no_client_auth().with_single_cert(vec![certificate.clone()], key.into());
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let client = ClientConfig::builder_with_provider(ring()).with_safe_default_protocol_versions();
    let client = client.expect("versions").with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server.expect("a server"))), Arc::new(client))
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a byte"));
    }
    String::from_utf8(head).expect("UTF-8")
}

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let asked = head(stream).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("written");
    asked
}

async fn ask(client: &Client) -> Result<StatusCode, Error> {
    let request = client.request(Method::GET, PathAndQuery::from_static("/")).send();
    tokio::time::timeout(PATIENCE, request).await.expect("in time").map(|response| response.status())
}

#[tokio::test]
async fn tls_is_spoken_with_whom_the_certificates_vouch_for_and_nobody_else() {
    let (server, trusting) = certificate();
    let (_, distrusting) = certificate();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = url(&format!("https://localhost:{}/", listener.local_addr().expect("an address").port()));
    let serve = async {
        let (tcp, _) = listener.accept().await.expect("a connection");
        answer(&mut server.accept(tcp).await?).await;
        std::io::Result::Ok(())
    };
    let client = Client::new(Connector::tls(&address, trusting, None, PATIENCE).expect("an address"));
    let (asked, served) = tokio::join!(ask(&client), serve);
    assert_eq!(asked.expect("answered"), StatusCode::OK);
    served.expect("a handshake");

    let refuse = async { server.accept(listener.accept().await.expect("a connection").0).await.err() };
    let client = Client::new(Connector::tls(&address, distrusting, None, PATIENCE).expect("an address"));
    let (asked, refused) = tokio::join!(ask(&client), refuse);
    assert!(asked.expect_err("refused").is_connect());
    assert!(refused.is_some());
}

#[tokio::test]
async fn where_it_connects_to_may_be_given_and_whom_it_asks_for_stays() {
    let (server, trusting) = certificate();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let there = listener.local_addr().expect("an address");
    // Nothing is looked up: there is no such name.
    let address = url("https://api.example:4443/v1");
    let client = Client::new(Connector::tls(&address, trusting, None, PATIENCE).expect("an address").to([there]));
    let serve = async {
        let (tcp, _) = listener.accept().await.expect("a connection");
        answer(&mut server.accept(tcp).await.expect("a handshake")).await
    };
    let (answered, asked) = tokio::join!(ask(&client), serve);
    assert_eq!(answered.expect("answered"), StatusCode::OK);
    assert!(asked.contains("\r\nhost: api.example:4443\r\n"), "{asked}");

    let nowhere = Connector::plain(&url("http://localhost/"), PATIENCE).expect("an address").to([]);
    assert!(ask(&Client::new(nowhere)).await.expect_err("nowhere").is_connect());
}

#[tokio::test]
async fn a_request_may_allow_less_time_for_its_connection_and_not_more() {
    let (_, trusting) = certificate();
    // It takes connections, and shakes nobody's hand.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = url(&format!("https://{}/", listener.local_addr().expect("an address")));
    let ask = async |clients: Duration, requests: Duration| {
        let client = Client::new(Connector::tls(&address, trusting.clone(), None, clients).expect("an address"));
        let request = client.request(Method::GET, PathAndQuery::from_static("/")).connect_within(Some(requests));
        tokio::time::timeout(PATIENCE, request.send()).await.expect("in time").expect_err("nobody answers")
    };
    let short = Duration::from_millis(20);
    assert!(matches!(ask(PATIENCE * 2, short).await, Error::Hurried));
    assert!(matches!(ask(short, PATIENCE * 2).await, Error::Connect(_)));
}

#[tokio::test]
async fn through_a_proxy_the_tunnel_is_asked_for_and_tls_goes_through_it() {
    let (server, trusting) = certificate();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = format!("http://user:secret@{}", listener.local_addr().expect("an address"));
    let address = url("https://api.example:4443/v1");
    let proxy = Proxy::named_by(&Matcher::builder().https(proxy).build(), &address).expect("supported");
    let client = Client::new(Connector::tls(&address, trusting, proxy, PATIENCE).expect("an address"));
    let serve = async {
        let (mut tcp, _) = listener.accept().await.expect("a connection");
        let asked = head(&mut tcp).await;
        tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("written");
        (asked, answer(&mut server.accept(tcp).await.expect("a handshake")).await)
    };
    let (answered, (to_proxy, to_origin)) = tokio::join!(ask(&client), serve);
    assert_eq!(answered.expect("answered"), StatusCode::OK);
    assert!(to_proxy.starts_with("CONNECT api.example:4443 HTTP/1.1\r\n"), "{to_proxy}");
    assert!(to_proxy.to_lowercase().contains("proxy-authorization: basic"), "{to_proxy}");
    assert!(!to_origin.to_lowercase().contains("proxy-authorization"), "{to_origin}");
}
