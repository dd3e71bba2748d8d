//! On real servers: one, one behind TLS, a Sentinel's, and a Cluster.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fred::types::config::{Config, TlsConnector};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use vx11_testing_servers::Redis as Server;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

async fn open_at(config: Config) -> Arc<Redis> {
    Redis::open_at(config, CONNECT_TIMEOUT, &Registry::new()).await.expect("a connection")
}

async fn open(url: &str) -> Arc<Redis> {
    open_at(address(&url.into()).expect("a URL")).await
}

/// What a script of its own answers, as soon as one does.
async fn count(redis: &Redis) -> i64 {
    let script = redis.script("count", "return redis.call('INCR', KEYS[1])");
    let counted = async {
        loop {
            if let Ok(count) = redis.run::<i64>(&script, vec!["vx11:{tests}:count".to_owned()], Vec::new()).await {
                return count;
            }
            redis.probe().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("it answers")
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect(what);
}

async fn heard(listener: &mut Listener) -> Heard {
    tokio::time::timeout(PATIENCE, listener.next()).await.expect("something is heard")
}

/// Waits until it hears what is said, and then says more, of which nothing may be missing.
async fn hears(redis: &Redis, listener: &mut Listener) {
    assert_eq!(heard(listener).await, Heard::Gap, "nobody knows what was said before");
    let listens = async {
        while tokio::time::timeout(Duration::from_millis(20), listener.next()).await.is_err() {
            redis.publish("tests", vec!["is anybody there?".to_owned()]).await.expect("said");
        }
    };
    tokio::time::timeout(PATIENCE, listens).await.expect("it listens");
    let said = ["one", "two", "three"];
    redis.publish("tests", said.map(str::to_owned).to_vec()).await.expect("said");
    for text in said {
        let mut next = heard(listener).await;
        while next == Heard::Message("is anybody there?".to_owned()) {
            next = heard(listener).await;
        }
        assert_eq!(next, Heard::Message(text.to_owned()));
    }
}

#[tokio::test]
async fn who_listens_hears_what_was_said_in_order_and_where_something_may_be_missing() {
    let mut server = Server::start();
    let redis = open(&server.url()).await;
    let mut listener = redis.listen("tests").expect("a listener");
    hears(&redis, &mut listener).await;
    redis.publish("others", vec!["not meant".to_owned()]).await.expect("said");
    server.kill();
    redis.publish("tests", vec!["nobody hears".to_owned()]).await.expect_err("there is no Redis");
    assert!(redis.is_lost());
    server.come_back();
    count(&redis).await;
    hears(&redis, &mut listener).await;
}

#[tokio::test]
async fn databases_of_one_redis_hear_nothing_of_each_other() {
    let server = Server::start();
    let (one, other) = (open(&server.url()).await, open(&format!("{}/1", server.url())).await);
    let mut listener = other.listen("tests").expect("a listener");
    hears(&other, &mut listener).await;
    one.publish("tests", vec!["of the first".to_owned()]).await.expect("said");
    other.publish("tests", vec!["of the second".to_owned()]).await.expect("said");
    assert_eq!(heard(&mut listener).await, Heard::Message("of the second".to_owned()));
}

/// A Redis that speaks nothing but TLS, and the certificate that it shows.
fn secured(home: &Path) -> (Server, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (home.join("certificate.pem"), home.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let file = |path: &Path| path.display().to_string();
    let server = Server::start_with(|port| {
        let own = ["--port", "0", "--tls-auth-clients", "no", "--tls-port", &port.to_string()].map(str::to_owned);
        let files = ["--tls-cert-file".to_owned(), file(&certificate), "--tls-key-file".to_owned(), file(&key)];
        own.into_iter().chain(files).chain(["--tls-ca-cert-file".to_owned(), file(&certificate)]).collect()
    });
    (server, made.cert.into())
}

#[tokio::test]
async fn tls_is_spoken_with_a_server_that_is_trusted_and_with_no_other() {
    let home = tempfile::tempdir().expect("a directory");
    let (server, certificate) = secured(home.path());
    let mut config = address(&format!("rediss://localhost:{}", server.port()).as_str().into()).expect("a URL");
    let stranger = open_at(config.clone()).await;
    assert!(stranger.is_lost(), "the system does not know the certificate");

    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let trusting = builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
    config.tls = Some(TlsConnector::from(trusting.with_no_client_auth()).into());
    let redis = open_at(config).await;
    assert_eq!(count(&redis).await, 1);
    hears(&redis, &mut redis.listen("tests").expect("a listener")).await;
}

#[tokio::test]
async fn where_a_sentinel_names_another_master_it_is_followed() {
    let (mut master, follower) = (Server::start(), Server::start());
    master.command(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    follower.command(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("sentinel.conf");
    let monitor = format!("sentinel monitor main 127.0.0.1 {} 1", master.port());
    let soon = "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000";
    std::fs::write(&file, format!("{monitor}\n{soon}\n")).expect("written");
    let sentinel = Server::start_with(|port| {
        let own = [&*file.display().to_string(), "--sentinel", "--port", &port.to_string()].map(str::to_owned);
        own.to_vec()
    });
    eventually("the Sentinel knows a follower that follows", || {
        let followers = sentinel.command(&["SENTINEL", "REPLICAS", "main"]);
        followers.contains(&follower.port().to_string()) && followers.contains("master-link-status\nok")
    })
    .await;

    let redis = open(&format!("redis-sentinel://127.0.0.1:{}?sentinelServiceName=main", sentinel.port())).await;
    assert_eq!(count(&redis).await, 1);
    assert_eq!(master.command(&["GET", "vx11:{tests}:count"]), "1");
    let mut listener = redis.listen("tests").expect("a listener");
    hears(&redis, &mut listener).await;
    eventually("the follower has it", || follower.command(&["GET", "vx11:{tests}:count"]) == "1").await;
    master.kill();
    assert_eq!(count(&redis).await, 2, "the follower has what the master had");
    assert_eq!(follower.command(&["GET", "vx11:{tests}:count"]), "2");
    hears(&redis, &mut listener).await;
}

#[tokio::test]
async fn a_cluster_is_asked_where_the_keys_are() {
    let server = Server::start_with(|port| {
        let own = ["--port", &port.to_string(), "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"];
        own.map(str::to_owned).to_vec()
    });
    assert_eq!(server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]), "OK");
    let redis = open(&format!("redis-cluster://127.0.0.1:{}", server.port())).await;
    assert_eq!(count(&redis).await, 1);
    hears(&redis, &mut redis.listen("tests").expect("a listener")).await;
}
