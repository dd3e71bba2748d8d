//! Sessions: what goes on with a refresh token, and ends.

use jiff::Timestamp;
use secrecy::ExposeSecret;
use vx11_chassis::ApiError;
use vx11_contracts::identity::{Principal, Scopes, TokenGranted};
use vx11_identity::{RefreshVerdict, access_token, refresh_token};

use super::{Denied, Login, REFRESH, keys_missing};
use crate::control::{Owner, Refreshed, Session};
use crate::domain::audit::Origin;

impl Login {
    /// The session that goes on with a refresh token.
    ///
    /// # Errors
    /// When it is over.
    pub(crate) async fn refresh(&self, token: Option<&str>, origin: Origin) -> Result<Session, Denied> {
        let refreshed = self.go_on(token, origin).await;
        self.0.metrics.count(REFRESH, refreshed.as_ref().err().map(|denied| &denied.error));
        refreshed
    }

    async fn go_on(&self, token: Option<&str>, origin: Origin) -> Result<Session, Denied> {
        let hash = token.and_then(refresh_token::hash_of);
        let hash = hash.ok_or_else(|| Denied::refused("no_session", "there is no session; log in".to_owned()))?;
        match self.0.control.refresh(hash, origin, Timestamp::now()).await.map_err(Denied::store)? {
            Refreshed::On(session) => Ok(*session),
            Refreshed::Over(verdict, owner) => {
                if verdict == RefreshVerdict::ReuseRevokesFamily {
                    // Every access token of the pilot has ended with it.
                    self.0.verifier.forget_tokens();
                }
                let denied = Denied::refused(verdict_name(verdict), "the session is over; log in anew".to_owned());
                Err(match owner {
                    Some(Owner { org, pilot_id }) => denied.by(&org, &pilot_id),
                    None => denied,
                })
            }
        }
    }

    /// Ends a session, by its refresh token, and an access token; whose it was.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn log_out(
        &self,
        refresh: Option<&str>,
        access: Option<&str>,
        origin: Origin,
    ) -> Result<Option<Owner>, Denied> {
        let (now, mut owner) = (Timestamp::now(), None);
        if let Some(hash) = refresh.and_then(refresh_token::hash_of) {
            owner = self.0.control.log_out(hash, origin, now).await.map_err(Denied::store)?;
        }
        if let Some(token) = access.filter(|token| access_token::has_form(token))
            && let Ok(claimed) = self.0.verifier.tokens().verify(token, now).await
        {
            self.0.control.revoke_token(&claimed, now).await.map_err(Denied::store)?;
            self.0.verifier.forget_token(&claimed);
            let Principal { org, subject, .. } = claimed.principal;
            owner = owner.or(Some(Owner { org, pilot_id: subject.as_ref().to_owned() }));
        }
        Ok(owner)
    }

    /// An access token for who has the session.
    ///
    /// # Errors
    /// When no key can sign.
    pub(crate) async fn grant(&self, session: &Session) -> Result<TokenGranted, ApiError> {
        let pilot = &session.pilot;
        let principal = Principal {
            org: pilot.org.clone(),
            subject: pilot.pilot_id.as_str().into(),
            role: pilot.role,
            scopes: Scopes::ALL,
        };
        let tokens = self.0.verifier.tokens().tokens().await.ok_or_else(keys_missing)?;
        let grant = tokens.grant(&principal, session.grants_from).map_err(ApiError::internal)?;
        let left = grant.expires_at.duration_since(Timestamp::now()).as_secs();
        Ok(TokenGranted {
            access_token: grant.token.expose_secret().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: u64::try_from(left).unwrap_or_default(),
            org: principal.org,
            subject: pilot.pilot_id.clone(),
            role: pilot.role,
        })
    }
}

/// Why a session is over whose token came a second time, which the database has noted in the audit log.
pub(crate) const REUSE: &str = "reuse";

const fn verdict_name(verdict: RefreshVerdict) -> &'static str {
    use RefreshVerdict as V;
    match verdict {
        V::ReuseRevokesFamily => REUSE,
        V::Expired => "expired",
        V::Unknown => "unknown",
        V::Revoked | V::Rotate | V::AccessOnly => "revoked",
    }
}
