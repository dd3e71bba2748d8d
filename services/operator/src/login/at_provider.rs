//! Logins at a provider: begun, and finished when it sends the browser back.

use std::time::Instant;

use jiff::Timestamp;
use url::Url;
use vx11_chassis::ApiError;
use vx11_identity::LoginState;

use super::provider::Provider;
use super::{Denied, Login, keys_missing, too_many};
use crate::control::{Entry, Session};
use crate::domain::audit::Origin;

/// Longest code that a provider may send.
const MAX_CODE: usize = 4096;

/// A login that begins: where the browser goes, and the cookie that it brings back.
pub(crate) struct Begun {
    pub(crate) location: Url,
    pub(crate) cookie: String,
}

/// What a provider sent the browser back with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered {
    /// To be redeemed.
    pub(crate) code: Option<String>,
    /// What the login was begun with.
    pub(crate) state: Option<String>,
    /// Whose answer it says it is (RFC 9207).
    pub(crate) issuer: Option<String>,
    /// Why there is no code.
    pub(crate) error: Option<String>,
    /// The browser's cookie of this login.
    pub(crate) cookie: Option<String>,
}

impl Login {
    /// Begins a login at the provider `id`, after which the browser goes on at `return_to`.
    ///
    /// # Errors
    /// When there is no such provider, it does not answer, or the address has begun too many.
    pub(crate) async fn begin(&self, id: &str, return_to: &str, address: &str) -> Result<Begun, Denied> {
        let (provider, redirect) = (self.provider(id)?, self.redirect(id)?);
        self.check_address(address)?;
        let login = LoginState::begin(id, return_to, Timestamp::now());
        let location = provider.ask(provider.authorize(&login, &redirect)).await?;
        let sealer = self.0.verifier.tokens().sealer().await.ok_or_else(keys_missing)?;
        Ok(Begun { location, cookie: login.seal(&sealer) })
    }

    /// Finishes a login at the provider `id`: a session, and where the browser goes on.
    ///
    /// # Errors
    /// When it is not proven who has logged in, or who has may not come in.
    pub(crate) async fn finish(
        &self,
        id: &str,
        answered: Answered,
        address: &str,
        origin: &Origin,
    ) -> Result<(Session, String), Denied> {
        let (provider, redirect) = (self.provider(id)?, self.redirect(id)?);
        let finished = self.finish_at(provider, &redirect, answered, address, origin).await;
        self.0.metrics.count(id, finished.as_ref().err().map(|denied| &denied.error));
        finished
    }

    async fn finish_at(
        &self,
        provider: &Provider,
        redirect: &str,
        answered: Answered,
        address: &str,
        origin: &Origin,
    ) -> Result<(Session, String), Denied> {
        self.check_address(address)?;
        let (now, text) = (Timestamp::now(), |text: Option<String>| text.unwrap_or_default());
        let (cookie, state) = (text(answered.cookie), text(answered.state));
        let login = self.0.verifier.tokens().open_login(&cookie, &provider.id, &state, now).await;
        let login = login.map_err(|error| Denied::refused("no_such_login", error.to_string()))?;
        if let Some(error) = answered.error {
            let error: String = error.chars().filter(|char| char.is_ascii_graphic()).take(64).collect();
            return Err(Denied::refused("refused_there", format!("the provider did not log you in: {error}")));
        }
        let code = answered.code.filter(|code| (1..=MAX_CODE).contains(&code.len()));
        let code = code.ok_or_else(|| Denied::refused("no_code", "the provider sent no code".to_owned()))?;
        let asked = provider.redeem(&login, &code, answered.issuer.as_deref(), redirect);
        let (person, is_admitted) = provider.ask(asked).await?;
        if !is_admitted {
            let detail = "you are known there, and may not come in here; ask who keeps this installation";
            return Err(Denied::refused("not_admitted", detail.to_owned()).by(&provider.org, &person.pilot_id));
        }
        let pilots = self.0.control.pilots(&provider.org);
        let entry = pilots.enter(&person, provider.role, origin, now).await.map_err(Denied::store)?;
        Ok((admitted(entry).map_err(|denied| denied.by(&provider.org, &person.pilot_id))?, login.return_to))
    }

    fn provider(&self, id: &str) -> Result<&Provider, ApiError> {
        let providers = &self.0.providers;
        providers.iter().find(|provider| provider.id == id).ok_or_else(|| {
            let known = providers.iter().map(|provider| provider.id.clone()).collect();
            ApiError::not_found("provider to log in at").with_known(known)
        })
    }

    /// Where the provider `id` sends the browser back to: of the configuration, and never of what a request says.
    fn redirect(&self, id: &str) -> Result<String, ApiError> {
        Ok(format!("{}operator/api/auth/callback/{id}", self.public_url()?))
    }

    fn check_address(&self, address: &str) -> Result<(), ApiError> {
        self.0.addresses.check(address, Instant::now()).map(drop).map_err(|wait| too_many(&wait))
    }
}

fn admitted(entry: Entry) -> Result<Session, Denied> {
    let refused = |reason, detail: &str| Err(Denied::refused(reason, detail.to_owned()));
    match entry {
        Entry::In(session) => Ok(*session),
        Entry::Disabled => refused("disabled", "an administrator has shut you out"),
        Entry::NameTaken => refused("name_taken", "somebody else was here by your name before; ask an administrator"),
        Entry::NoOrg => refused("no_organisation", "the organisation of this login is not there, or is closed"),
        Entry::Unknown | Entry::OtherPassword => refused("unknown", "your role is one of a newer version"),
    }
}
