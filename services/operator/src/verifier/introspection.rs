//! Who comes with a secret, for another service that was shown it: as the database has it now.
//!
//! The service that asks believes the answer for some seconds, so nothing may be remembered here as well: what was
//! revoked has to be out within five seconds of both together.

use jiff::Timestamp;
use vx11_chassis::auth::Refusal;
use vx11_contracts::identity::IntrospectedCaller;
use vx11_contracts::time;
use vx11_identity::PresentedKey;

use super::{Token, Verifier};

impl Verifier {
    /// Who comes with `secret`, until when it is good, and within which limits, where there are any.
    ///
    /// # Errors
    /// [`Refusal`] when that isn't proven.
    pub(crate) async fn introspect(&self, secret: &str) -> Result<IntrospectedCaller, Refusal> {
        match PresentedKey::parse(secret) {
            Some(key) => self.introspect_key(&key).await,
            None => self.introspect_token(secret).await,
        }
    }

    async fn introspect_key(&self, presented: &PresentedKey<'_>) -> Result<IntrospectedCaller, Refusal> {
        let id = presented.id();
        // That there is no such key is remembered: ids are random, and nobody asks for one before it is made.
        if self.keys.get(id).is_some_and(|remembered| remembered.is_some()) {
            self.keys.invalidate(id);
        }
        let principal = self.holder(presented).await?;
        let key = self.key(id).await?;
        let (expires_at, limits) = (key.bearer.terms.expires_at, key.bearer.limits.clone());
        Ok(IntrospectedCaller::new(&principal, expires_at.map(time::render), limits))
    }

    async fn introspect_token(&self, token: &str) -> Result<IntrospectedCaller, Refusal> {
        let claimed = self.tokens.verify(token, Timestamp::now()).await?;
        self.standing.invalidate(&Token::of(&claimed));
        self.counts(&claimed.principal, &claimed.id, claimed.issued_at).await?;
        Ok(IntrospectedCaller::new(&claimed.principal, Some(time::render(claimed.expires_at)), None))
    }
}
