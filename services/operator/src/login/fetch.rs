//! Calls to identity providers: within a time, up to a size, and without redirects.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rustls::ClientConfig;
use tokio::sync::OnceCell;
use url::Url;
use vx11_chassis::client::{chain, read_at_most};
use vx11_http_client::{Client, Connector, Proxy};

use super::ProviderError;
use crate::clients::system_certificates;

/// Longest wait for one answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest wait for a connection, within that.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest answer.
const MAX_BYTES: usize = 512 * 1024;
/// GitHub refuses who doesn't say.
const AGENT: HeaderValue = HeaderValue::from_static("vx11");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// Calls providers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Fetch {
    /// Read when they are first needed.
    tls: Arc<OnceCell<Arc<ClientConfig>>>,
}

/// What a provider answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: bytes::Bytes,
}

impl Answer {
    /// The body as JSON, of a success.
    pub(super) fn json<A: serde::de::DeserializeOwned>(&self, what: &str) -> Result<A, ProviderError> {
        if !self.status.is_success() {
            return Err(ProviderError::Unfit(format!("{what}: HTTP {}", self.status.as_u16())));
        }
        serde_json::from_slice(&self.body).map_err(|error| ProviderError::Unfit(format!("{what}: {error}")))
    }
}

impl Fetch {
    /// GET, with an access token where there is one.
    pub(super) async fn get(&self, url: &Url, bearer: Option<&str>) -> Result<Answer, ProviderError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = bearer {
            headers.insert(AUTHORIZATION, secret(&format!("Bearer {token}"))?);
        }
        self.call(Method::GET, url, headers, None).await
    }

    /// POST of a form, with `authorization` where there is one.
    pub(super) async fn post(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        authorization: Option<&str>,
    ) -> Result<Answer, ProviderError> {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, FORM)]);
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, secret(authorization)?);
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.call(Method::POST, url, headers, Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Option<String>,
    ) -> Result<Answer, ProviderError> {
        let call = async {
            let client = self.client(url).await.map_err(|error| ProviderError::Away(format!("{error:#}")))?;
            let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
            let target = PathAndQuery::try_from(target).map_err(|error| ProviderError::Unfit(error.to_string()))?;
            let mut request = client.request(method, target).header(USER_AGENT, AGENT).header(ACCEPT, JSON);
            request.headers_mut().extend(headers);
            let request = match body {
                Some(body) => request.body(bytes::Bytes::from(body)),
                None => request,
            };
            let response = request.send().await.map_err(|error| ProviderError::Away(chain(&error)))?;
            let status = response.status();
            let body = read_at_most(response, MAX_BYTES).await;
            Ok(Answer { status, body: body.map_err(|error| ProviderError::Away(chain(&error)))? })
        };
        let host = url.host_str().unwrap_or_default();
        let answered = tokio::time::timeout(LIMIT, call).await;
        let answered = answered.unwrap_or_else(|_| Err(ProviderError::Away("it did not answer in time".to_owned())));
        answered.map_err(|error| error.at(host))
    }

    /// A client for one call: logins are rare, and providers close what is idle.
    async fn client(&self, url: &Url) -> anyhow::Result<Client> {
        let connector = if url.scheme() == "https" {
            let tls = self.tls.get_or_try_init(async || system_certificates()).await?;
            Connector::tls(url, tls.clone(), Proxy::from_env(url)?, CONNECT)?
        } else {
            Connector::plain(url, CONNECT)?
        };
        Ok(Client::new(connector))
    }
}

fn secret(text: &str) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| ProviderError::Unfit("a secret has characters that no header has".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
