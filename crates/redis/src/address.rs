//! Where Redis is, as its URL says, and how it is connected to: one server, a Sentinel's master, or a Cluster.

use std::sync::Arc;

use anyhow::Context;
use fred::prelude::*;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString};

/// What is said of a URL that cannot be used. It may hold a password: what is wrong with it is not repeated.
const NO_URL: &str = "it is no URL of Redis, such as `redis://:password@host:6379`, with `rediss` for TLS, and `-sentinel` or \
                      `-cluster` behind the scheme for these";

/// What `url` says of where Redis is.
pub(super) fn address(url: &SecretString) -> anyhow::Result<Config> {
    let url = url.expose_secret();
    let (scheme, rest) = url.split_once("://").context(NO_URL)?;
    // The client takes any scheme for Redis', and would look for the certificates itself.
    let (server, sort) = scheme.split_at(scheme.find('-').unwrap_or(scheme.len()));
    let wants_tls = match server {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => anyhow::bail!(NO_URL),
    };
    anyhow::ensure!(matches!(sort, "" | "-sentinel" | "-cluster"), NO_URL);
    let mut config = Config::from_url(&format!("redis{sort}://{rest}")).ok().context(NO_URL)?;
    if wants_tls {
        config.tls = Some(TlsConnector::from(tls()?).into());
    }
    Ok(config)
}

/// The certificates that the system trusts.
fn tls() -> anyhow::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_platform_verifier()?;
    Ok(builder.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use fred::types::config::ServerConfig;

    use super::*;

    #[test]
    fn a_url_says_what_sort_of_redis_there_is() {
        for (url, is_tls, is_of_sort) in [
            ("redis://redis", false, (|server| matches!(server, ServerConfig::Centralized { .. })) as fn(&_) -> bool),
            ("valkeys://:pw@redis:1/2", true, |server| matches!(server, ServerConfig::Centralized { .. })),
            (
                "rediss-sentinel://s:26379?sentinelServiceName=main&node=t:26379",
                true,
                |server| matches!(server, ServerConfig::Sentinel { hosts, .. } if hosts.len() == 2),
            ),
            ("redis-cluster://a:1?node=b:2", false, |server| matches!(server, ServerConfig::Clustered { .. })),
        ] {
            let config = address(&url.into()).expect(url);
            assert_eq!(config.tls.is_some(), is_tls, "{url}");
            assert!(is_of_sort(&config.server), "{url}: {:?}", config.server);
        }
    }

    #[test]
    fn a_url_of_something_else_is_refused_and_not_repeated() {
        for url in [
            "http://:s3cret@redis",
            "redis",
            "redis+unix:///tmp/s3cret",
            "redis://:s3cret@redis:port",
            "redis-sentinel://s3cret:26379",
            "redis-sharded://s3cret",
        ] {
            let refused = address(&url.into()).expect_err(url);
            assert!(!format!("{refused:#}").contains("s3cret"), "{refused:#}");
        }
    }
}
