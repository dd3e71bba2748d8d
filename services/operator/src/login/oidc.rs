//! A provider of OpenID Connect: found by its discovery document, proven by its keys.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::Mutex;
use url::Url;
use vx11_identity::id_token::{Expected, Profile};
use vx11_identity::{IdToken, IdTokenError, LoginState, ProviderKeys, pkce};

use super::ProviderError;
use super::fetch::Fetch;
use crate::config::is_loopback;

/// How long a discovery document and keys are believed.
const BELIEVED_FOR: Duration = Duration::from_secs(60 * 60);
/// The least time between two readings of keys because a token names an unknown one.
const KEYS_AT_MOST_EVERY: Duration = Duration::from_secs(30);
/// How long one that did not answer is not asked again: everybody who waited meanwhile would wait as long once more.
const AWAY_FOR: Duration = Duration::from_secs(5);
const SCOPES: &str = "openid profile email";

/// One provider.
#[derive(Debug)]
pub(super) struct Oidc {
    pub(super) fetch: Fetch,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<SecretString>,
    /// The tenant whose accounts count, at Entra ID.
    pub(super) tenant: Option<String>,
    pub(super) memory: Mutex<Memory>,
}

/// What is remembered of a provider.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Option<Arc<Known>>,
    /// When it did not answer, and in which way.
    away: Option<(Instant, String)>,
}

/// What was read of a provider.
#[derive(Debug)]
struct Known {
    document: Document,
    keys: ProviderKeys,
    read_at: Instant,
}

/// OpenID Connect Discovery 1.0, as much of it as is used.
#[derive(Clone, Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    userinfo_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207: its answers say whose they are.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    #[serde(flatten)]
    profile: Profile,
}

impl Oidc {
    /// Where the browser is sent.
    pub(super) async fn authorize(&self, login: &LoginState, redirect: &str) -> Result<Url, ProviderError> {
        let known = self.known(None).await?;
        let mut url = known.document.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", SCOPES)
            .append_pair("state", &login.state)
            .append_pair("nonce", &login.nonce)
            .append_pair("code_challenge", &login.challenge())
            .append_pair("code_challenge_method", pkce::METHOD);
        Ok(url)
    }

    /// Who has logged in, as the provider proves it for `code`.
    pub(super) async fn redeem(
        &self,
        login: &LoginState,
        code: &str,
        said_issuer: Option<&str>,
        redirect: &str,
    ) -> Result<IdToken, ProviderError> {
        let known = self.known(None).await?;
        // Another provider's answer in the name of this one would have its code sent here.
        let is_needed = known.document.authorization_response_iss_parameter_supported;
        if said_issuer.map_or(is_needed, |said| said != self.issuer) {
            return Err(ProviderError::Refused("the answer is another issuer's".to_owned()));
        }
        let tokens = self.tokens(&known.document, login, code, redirect).await?;
        let sent = tokens.id_token.ok_or_else(|| ProviderError::Unfit("it sent no identity token".to_owned()))?;
        let mut token = self.prove(known.clone(), &sent, login).await?;
        if let Some(tenant) = &self.tenant
            && token.profile.tid.as_ref() != Some(tenant)
        {
            return Err(ProviderError::Refused("the account is of another tenant".to_owned()));
        }
        if token.profile.email.is_none()
            && let (Some(url), Some(access)) = (&known.document.userinfo_endpoint, &tokens.access_token)
        {
            self.ask_more(&mut token, url, access).await?;
        }
        Ok(token)
    }

    async fn tokens(
        &self,
        document: &Document,
        login: &LoginState,
        code: &str,
        redirect: &str,
    ) -> Result<Tokens, ProviderError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", login.verifier.expose_secret()),
            ("client_id", &self.client_id),
        ];
        let methods = document.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        let takes = |method: &str| methods.iter().any(|known| known == method);
        // Where it doesn't say, it takes this one.
        let is_basic = methods.is_empty() || takes("client_secret_basic");
        let authorization = match &self.client_secret {
            Some(secret) if is_basic => Some(basic(&self.client_id, secret)),
            Some(secret) => {
                form.push(("client_secret", secret.expose_secret()));
                None
            }
            None => None,
        };
        let answer = self.fetch.post(&document.token_endpoint, &form, authorization.as_deref()).await?;
        if answer.status.is_client_error() {
            return Err(ProviderError::of_oauth(&answer.body, answer.status));
        }
        answer.json("the token endpoint")
    }

    async fn prove(&self, known: Arc<Known>, sent: &str, login: &LoginState) -> Result<IdToken, ProviderError> {
        let expected = Expected { issuer: &self.issuer, client_id: &self.client_id, login };
        let proven = match known.keys.verify(sent, expected, Timestamp::now()) {
            // It may have made a key since.
            Err(IdTokenError::UnknownKey) => {
                self.known(Some(&known)).await?.keys.verify(sent, expected, Timestamp::now())
            }
            proven => proven,
        };
        proven.map_err(|error| ProviderError::Refused(error.to_string()))
    }

    /// Some say in the identity token only who it is, and the rest to who asks with the access token.
    async fn ask_more(&self, token: &mut IdToken, url: &Url, access: &str) -> Result<(), ProviderError> {
        let more: UserInfo = self.fetch.get(url, Some(access)).await?.json("userinfo")?;
        if more.sub != token.sub {
            return Err(ProviderError::Refused("userinfo is of somebody else".to_owned()));
        }
        let Profile { email, email_verified, name, preferred_username, .. } = more.profile;
        let profile = &mut token.profile;
        (profile.email, profile.email_verified) = (email, email_verified);
        profile.name = profile.name.take().or(name);
        profile.preferred_username = profile.preferred_username.take().or(preferred_username);
        Ok(())
    }

    /// What is known of the provider; read anew once that is old, or where `outdated` lacks a key.
    async fn known(&self, outdated: Option<&Arc<Known>>) -> Result<Arc<Known>, ProviderError> {
        let mut memory = self.memory.lock().await;
        if let Some(known) = &memory.known {
            let age = known.read_at.elapsed();
            let is_wanted = outdated.is_none_or(|outdated| !Arc::ptr_eq(outdated, known) || age < KEYS_AT_MOST_EVERY);
            if is_wanted && age < BELIEVED_FOR {
                return Ok(known.clone());
            }
        }
        if let Some((since, how)) = &memory.away
            && since.elapsed() < AWAY_FOR
        {
            return Err(ProviderError::Away(how.clone()));
        }
        let read = self.read().await.map(Arc::new);
        match &read {
            Ok(read) => *memory = Memory { known: Some(read.clone()), away: None },
            Err(ProviderError::Away(how)) => memory.away = Some((Instant::now(), how.clone())),
            Err(ProviderError::Unfit(_) | ProviderError::Refused(_)) => {}
        }
        read
    }

    async fn read(&self) -> Result<Known, ProviderError> {
        let unfit = |text: &str| ProviderError::Unfit(text.to_owned());
        let address = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let address = Url::parse(&address).map_err(|error| unfit(&error.to_string()))?;
        let document: Document = self.fetch.get(&address, None).await?.json("the discovery document")?;
        if document.issuer != self.issuer {
            return Err(unfit("its discovery document is another issuer's"));
        }
        let endpoints = [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri];
        let is_fit = |url: &&Url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
        if !endpoints.into_iter().chain(&document.userinfo_endpoint).all(|url| is_fit(&url)) {
            return Err(unfit("its addresses do not begin with https://"));
        }
        let keys = self.fetch.get(&document.jwks_uri, None).await?;
        if !keys.status.is_success() {
            return Err(unfit("its keys cannot be read"));
        }
        let keys = ProviderKeys::parse(&keys.body).map_err(|error| unfit(&format!("its keys: {error}")))?;
        Ok(Known { document, keys, read_at: Instant::now() })
    }
}

/// RFC 6749, section 2.3.1: both are form-encoded first.
fn basic(id: &str, secret: &SecretString) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret.expose_secret()))))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_provider_that_is_away_is_asked_once_for_all_who_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::<AtomicUsize>::default();
        let count = asked.clone();
        tokio::spawn(async move {
            // Each is hung up on.
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let oidc = Oidc {
            fetch: Fetch::default(),
            issuer,
            client_id: "vx11".to_owned(),
            client_secret: None,
            tenant: None,
            memory: Mutex::default(),
        };
        let once = oidc.known(None).await;
        assert!(matches!(once, Err(ProviderError::Away(_))), "{once:?}");
        let connections = asked.load(Ordering::Relaxed);
        let all = join_all((0..20).map(|_| oidc.known(None))).await;
        assert!(all.iter().all(|known| matches!(known, Err(ProviderError::Away(_)))));
        assert_eq!(asked.load(Ordering::Relaxed), connections);
    }
}
