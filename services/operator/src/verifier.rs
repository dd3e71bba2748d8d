//! Who comes with an access token or an API key, as the guard asks it.
//!
//! Tokens are verified by keys in memory. What only the database knows (keys, and whether a token was revoked) is
//! remembered for a few seconds, so a caller costs it one look in that time, and what was revoked anywhere is out
//! within it.

mod introspection;
mod known_keys;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::{HttpMessage, HttpRequest};
use async_trait::async_trait;
use jiff::Timestamp;
use moka::sync::Cache;
use serde_json::json;
use vx11_chassis::auth::{self, Minted, Refusal};
use vx11_chassis::{RequestContext, Shutdown, method_label};
use vx11_contracts::audit::AuditOutcome;
use vx11_contracts::event::Action;
use vx11_contracts::identity::{OrgId, Principal, Role};
use vx11_contracts::{ErrorCode, time};
use vx11_identity::api_key::should_note_use;
use vx11_identity::{Claimed, PresentedKey, StoredKey, TokenError};
use vx11_store::StoreError;

use crate::audit::Audit;
use crate::control::{Bearer, Control, Standing};
use crate::desk::Refusals;
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;
use crate::routes::origin::origin_of;
use crate::store::action;
use known_keys::KnownKeys;

/// How long what the database says of a key or a token is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(4);
/// Keys, and tokens, that are remembered at a time.
const MAX_REMEMBERED: u64 = 10_000;

/// Says who calls. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    control: Control,
    /// Where it is noted who was refused: in the trail, and in the audit log.
    refusals: Refusals,
    audit: Audit,
    tokens: Arc<KnownKeys>,
    /// By a key's id; `None` for what is nobody's.
    keys: Cache<String, Option<Arc<Remembered>>>,
    /// Whether tokens still count.
    standing: Cache<Token, Standing>,
}

/// An access token, or a stream token that was made for one: all that its standing depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Token {
    org: OrgId,
    subject: Arc<str>,
    role: Role,
    /// The access token's; nothing for what was made for none.
    id: String,
    issued_at: Timestamp,
}

impl Token {
    fn new(principal: &Principal, id: &str, issued_at: Timestamp) -> Self {
        let Principal { org, subject, role, .. } = principal;
        Self { org: org.clone(), subject: subject.clone(), role: *role, id: id.to_owned(), issued_at }
    }

    fn of(claimed: &Claimed) -> Self {
        Self::new(&claimed.principal, &claimed.id, claimed.issued_at)
    }
}

#[derive(Debug)]
struct Remembered {
    bearer: Bearer,
    /// Whether its use was noted since it was looked up.
    is_noted: AtomicBool,
}

impl Verifier {
    /// `configured`: the secret of other programs whose tokens count as well.
    pub(crate) fn new(control: Control, refusals: Refusals, audit: Audit, configured: Option<StoredKey>) -> Self {
        let tokens = Arc::new(KnownKeys::new(control.clone(), configured));
        let keys = Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(BELIEVED_FOR).build();
        let standing = Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(BELIEVED_FOR).build();
        Self { control, refusals, audit, tokens, keys, standing }
    }

    /// The keys that sign, and what is made of them.
    pub(crate) fn tokens(&self) -> &KnownKeys {
        &self.tokens
    }

    /// Reads the keys that sign anew from time to time, until the shutdown begins.
    pub(crate) async fn keep_keys(self, shutdown: Shutdown) {
        self.tokens.keep(shutdown).await;
    }

    /// Forgets what is known of a key: it was revoked here.
    pub(crate) fn forget(&self, key_id: &str) {
        self.keys.invalidate(key_id);
    }

    /// Forgets what is known of a token: it was revoked here.
    pub(crate) fn forget_token(&self, token: &Claimed) {
        self.standing.invalidate(&Token::of(token));
    }

    /// Forgets what is known of all tokens: a pilot was changed here, or its sessions were ended.
    pub(crate) fn forget_tokens(&self) {
        self.standing.invalidate_all();
    }

    /// Forgets what is known of all keys and tokens: an organisation was closed here.
    pub(crate) fn forget_all(&self) {
        self.keys.invalidate_all();
        self.standing.invalidate_all();
    }

    /// What is known of the key of this id.
    async fn key(&self, id: &str) -> Result<Arc<Remembered>, Refusal> {
        let remembered = match self.keys.get(id) {
            Some(remembered) => remembered,
            None => {
                let found = self.control.bearer(id).await.map_err(unavailable)?;
                let found = found.map(|bearer| Arc::new(Remembered { bearer, is_noted: AtomicBool::new(false) }));
                self.keys.insert(id.to_owned(), found.clone());
                found
            }
        };
        remembered.ok_or(Refusal::Invalid)
    }

    /// Who comes with an API key.
    async fn holder(&self, presented: &PresentedKey<'_>) -> Result<Principal, Refusal> {
        let (remembered, now) = (self.key(presented.id()).await?, Timestamp::now());
        let principal = remembered.bearer.terms.accept(presented, now).ok_or(Refusal::Invalid)?;
        if should_note_use(remembered.bearer.last_used_at, now) && !remembered.is_noted.swap(true, Ordering::Relaxed) {
            self.note_use(presented.id().to_owned(), now);
        }
        Ok(Principal { subject: remembered.bearer.subject.clone(), ..principal })
    }

    /// Beside the request, which doesn't wait for it: at most once a minute for each key.
    fn note_use(&self, key_id: String, now: Timestamp) {
        let control = self.control.clone();
        tokio::spawn(async move {
            if let Err(error) = control.note_use(&key_id, now).await {
                tracing::warn!(key = key_id, %error, "the use of a key is not noted");
            }
        });
    }

    /// Who comes with an access token.
    async fn bearer(&self, token: &str) -> Result<Principal, Refusal> {
        let claimed = self.tokens.verify(token, Timestamp::now()).await?;
        self.counts(&claimed.principal, &claimed.id, claimed.issued_at).await?;
        Ok(claimed.principal)
    }

    async fn counts(&self, principal: &Principal, id: &str, issued_at: Timestamp) -> Result<(), Refusal> {
        let token = Token::new(principal, id, issued_at);
        let standing = match self.standing.get(&token) {
            Some(standing) => standing,
            None => {
                let standing = self.control.stands(principal, id, issued_at).await.map_err(unavailable)?;
                self.standing.insert(token, standing);
                standing
            }
        };
        match standing {
            Standing::Good => Ok(()),
            // As one whose time is over: another one may be had with the refresh token.
            Standing::Overtaken => Err(Refusal::Expired),
            Standing::Out => Err(Refusal::Invalid),
        }
    }
}

#[async_trait]
impl auth::Verifier for Verifier {
    async fn verify(&self, secret: &str) -> Result<Principal, Refusal> {
        match PresentedKey::parse(secret) {
            Some(key) => self.holder(&key).await,
            None => self.bearer(secret).await,
        }
    }

    /// API keys may not: they are good for as long as their owner likes.
    fn may_be_in_address(&self, secret: &str) -> bool {
        PresentedKey::parse(secret).is_none()
    }

    async fn stands(&self, principal: &Principal, minted: &Minted) -> Result<(), Refusal> {
        let Some(id) = principal.subject.strip_prefix("key:") else {
            let token = minted.by_token.as_deref().unwrap_or_default();
            return self.counts(principal, token, minted.at).await;
        };
        let key = self.key(id).await?;
        let stands = key.bearer.terms.org == principal.org && key.bearer.terms.is_good(Timestamp::now());
        if stands { Ok(()) } else { Err(Refusal::Invalid) }
    }

    /// In the audit log, and in the request's trail: who, and what it wanted.
    fn denied(&self, request: &HttpRequest, principal: &Principal) {
        let correlation_id = request.extensions().get::<RequestContext>().map(|known| known.correlation_id.to_string());
        let pattern = request.match_pattern().unwrap_or_else(|| "an unknown address".to_owned());
        // Whoever calls may make up methods: each would be another kind of refusal.
        let target = format!("{} {pattern}", method_label(request.method()));
        let by = Actor::new(principal.subject.as_ref(), principal.role).from(origin_of(request));
        let entry = Entry::done(&by, "access", time::now()).to("route", &target);
        self.audit.attempted(&principal.org, entry.ended(AuditOutcome::Refused, ErrorCode::Forbidden.as_str()));
        let row = Action {
            org_id: principal.org.clone(),
            target: Some(target),
            notes: Some(self::by(principal)),
            ..action(correlation_id.unwrap_or_default(), "access", "access", "denied")
        };
        self.refusals.leave(principal, row);
    }
}

/// Who did something, for an audit row's notes.
pub(crate) fn by(principal: &Principal) -> String {
    let Principal { org, subject, role, .. } = principal;
    json!({ "org": org, "subject": subject.as_ref(), "role": role }).to_string()
}

fn unavailable(error: StoreError) -> Refusal {
    tracing::warn!(%error, "it cannot be told who calls");
    Refusal::Unavailable
}

impl From<TokenRefused> for Refusal {
    fn from(TokenRefused(error): TokenRefused) -> Self {
        match error {
            TokenError::Expired => Self::Expired,
            TokenError::Invalid | TokenError::UnknownKey => Self::Invalid,
        }
    }
}

/// Why a token is refused, on its way to the guard.
struct TokenRefused(TokenError);
