//! GitHub: OAuth without identity tokens. Who has logged in is what its API says to the access token.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use vx11_identity::{LoginState, pkce};

use super::ProviderError;
use super::fetch::Fetch;

/// To read who it is, and the addresses that are verified.
const SCOPES: &str = "read:user user:email";

/// GitHub, or an Enterprise Server.
#[derive(Debug)]
pub(super) struct GitHub {
    pub(super) fetch: Fetch,
    /// `https://github.com`
    pub(super) url: Url,
    /// `https://api.github.com`
    pub(super) api: Url,
    pub(super) client_id: String,
    pub(super) client_secret: Option<SecretString>,
}

/// A user of GitHub's.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    /// It stays when the login changes, and is nobody else's later.
    pub(super) id: u64,
    /// Its name at GitHub.
    pub(super) login: String,
    /// For people.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// Addresses that GitHub has made sure of, the primary one first.
    #[serde(skip)]
    pub(super) emails: Vec<String>,
}

#[derive(Deserialize)]
struct Email {
    email: String,
    primary: bool,
    verified: bool,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: Option<String>,
}

impl GitHub {
    /// The API of the GitHub at `url`.
    pub(super) fn api_of(url: &Url) -> Option<Url> {
        match url.host_str() {
            Some("github.com") => Url::parse("https://api.github.com/").ok(),
            _ => url.join("/api/v3/").ok(),
        }
    }

    /// Where the browser is sent.
    pub(super) fn authorize(&self, login: &LoginState, redirect: &str) -> Result<Url, ProviderError> {
        let mut url = at(&self.url, "login/oauth/authorize")?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", SCOPES)
            .append_pair("state", &login.state)
            .append_pair("code_challenge", &login.challenge())
            .append_pair("code_challenge_method", pkce::METHOD);
        Ok(url)
    }

    /// Who has logged in.
    pub(super) async fn redeem(&self, login: &LoginState, code: &str, redirect: &str) -> Result<User, ProviderError> {
        let token = self.token(login, code, redirect).await?;
        let mut user: User = self.fetch.get(&at(&self.api, "user")?, Some(&token)).await?.json("/user")?;
        let emails = self.fetch.get(&at(&self.api, "user/emails")?, Some(&token)).await?;
        let mut emails: Vec<Email> = emails.json("/user/emails")?;
        emails.retain(|email| email.verified);
        emails.sort_by_key(|email| !email.primary);
        user.emails = emails.into_iter().map(|email| email.email).collect();
        Ok(user)
    }

    async fn token(&self, login: &LoginState, code: &str, redirect: &str) -> Result<String, ProviderError> {
        let mut form = vec![
            ("client_id", self.client_id.as_str()),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", login.verifier.expose_secret()),
        ];
        if let Some(secret) = &self.client_secret {
            form.push(("client_secret", secret.expose_secret()));
        }
        let answer = self.fetch.post(&at(&self.url, "login/oauth/access_token")?, &form, None).await?;
        let tokens: Tokens = answer.json("the token endpoint")?;
        // A refusal is a success here, with an `error`.
        tokens.access_token.ok_or_else(|| ProviderError::of_oauth(&answer.body, answer.status))
    }
}

fn at(base: &Url, path: &str) -> Result<Url, ProviderError> {
    base.join(path).map_err(|error| ProviderError::Unfit(error.to_string()))
}
