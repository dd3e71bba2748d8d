//! Organisations, people and keys, kept on the database itself: for the command line, also while services run.
//!
//! Whoever can open the database needs no leave. What is done is in the audit log, by `vx11`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::SecretString;
use vx11_chassis::config::Common;
use vx11_contracts::audit::{AuditRow, AuditVerdict};
use vx11_contracts::event::Action;
use vx11_contracts::identity::{ApiKey, KeyLimitsChange, NewKey, Org, OrgId, Pilot, PilotChange, Role};
use vx11_identity::audit_chain::Head;
use vx11_identity::{KeyKind, NewApiKey, Passwords, StoredKey};
use vx11_store::StoreError;

use crate::audit;
use crate::control::{Audited, Control, KeyError};
use crate::domain::intervention::Actor;
use crate::domain::key_terms::{KeyTerms, NAME_RULE, name_for_people};
use crate::login::{LOGIN_RULE, is_login};
use crate::shared;
use crate::store::{Record, Store, action};

/// Who is said to have made what is made here.
const BY: &str = "vx11";
/// Rows of one look into the database.
const PAGE: u32 = 500;

/// Keeps organisations, people and keys.
#[derive(Clone, Debug)]
pub struct Admin {
    control: Control,
    heads: PathBuf,
    store: Store,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// What was asked for can't be.
    #[error("{0}")]
    Refused(String),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Admin {
    /// Opens the database that the operator of this configuration uses, and brings it up to date. Blocks.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(common: &Common) -> Result<Self, StoreError> {
        let (control, store) = shared::open_stores(common)?;
        Ok(Self { control, heads: shared::heads_file(common), store })
    }

    /// Makes an organisation.
    ///
    /// # Errors
    /// When there is one of this id, or was.
    pub async fn create_org(&self, id: &OrgId, name: Option<&str>) -> Result<Org, AdminError> {
        let name = name_for_people(name.unwrap_or(id.as_str()));
        let name = name.ok_or_else(|| AdminError::Refused(format!("the name {NAME_RULE}")))?;
        let made = self.control.make_org(id, &name, &by(), Timestamp::now()).await?;
        let made = made.ok_or_else(|| AdminError::Refused(format!("there is an organisation `{id}`, or was")))?;
        self.note("org_create", id.to_string()).await;
        Ok(made)
    }

    /// Makes a key; what it is, and the key itself, which nobody can be shown again.
    ///
    /// # Errors
    /// When there can be no such key.
    pub async fn create_key(&self, asked: &NewKey) -> Result<(ApiKey, SecretString), AdminError> {
        let now = Timestamp::now();
        let terms = KeyTerms::read(asked, BY, now).map_err(|unfit| AdminError::Refused(unfit.to_string()))?;
        let org = asked.org.clone().unwrap_or_else(OrgId::platform);
        let key = NewApiKey::make();
        let made = self.control.keys(&org).make(&key, terms, &by(), now).await?;
        let made =
            made.ok_or_else(|| AdminError::Refused(format!("there is no organisation `{org}`, or it is closed")))?;
        self.note("key_create", made.id.clone()).await;
        Ok((made, key.plain))
    }

    /// Every key, or those of one organisation, the newest of each first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_keys(&self, org: Option<OrgId>) -> Result<Vec<ApiKey>, AdminError> {
        let orgs = match org {
            Some(org) => vec![org],
            None => self.orgs().await?,
        };
        let mut keys = Vec::new();
        for org in orgs {
            let (of_org, mut before) = (self.control.keys(&org), None);
            loop {
                let page = of_org.list(before, PAGE).await?;
                let Some(last) = page.last() else { break };
                before = Some((last.created_at.clone(), last.id.clone()));
                keys.extend(page);
            }
        }
        Ok(keys)
    }

    /// Ends a key, whatever its organisation.
    ///
    /// # Errors
    /// When there is none of this id.
    pub async fn revoke_key(&self, id: &str) -> Result<ApiKey, AdminError> {
        let missing = || AdminError::Refused(format!("there is no key `{id}`, or its organisation is closed"));
        let bearer = self.control.bearer(id).await?.ok_or_else(missing)?;
        let revoked = self.control.keys(&bearer.terms.org).revoke(id, &by(), Timestamp::now()).await?;
        let revoked = revoked.ok_or_else(missing)?;
        self.note("key_revoke", revoked.id.clone()).await;
        Ok(revoked)
    }

    /// Changes what a key may ask of the gateway, and spend there, whatever its organisation.
    ///
    /// # Errors
    /// When there is none of this id, it was revoked, or can't have these limits.
    pub async fn limit_key(&self, id: &str, change: KeyLimitsChange) -> Result<ApiKey, AdminError> {
        let missing = || AdminError::Refused(format!("there is no key `{id}`, or its organisation is closed"));
        let bearer = self.control.bearer(id).await?.ok_or_else(missing)?;
        let changed = self.control.keys(&bearer.terms.org).limit(id, change, &by(), Timestamp::now()).await;
        let changed = changed.map_err(|error| match error {
            KeyError::NotFound => missing(),
            KeyError::Store(error) => error.into(),
            refused @ (KeyError::Revoked | KeyError::Unfit(_)) => AdminError::Refused(refused.to_string()),
        })?;
        self.note("key_change", changed.id.clone()).await;
        Ok(changed)
    }

    /// Makes a pilot who logs in with this password, or gives one who does another: its sessions end then.
    ///
    /// # Errors
    /// When the name or the password can't be one, or there is no such organisation.
    pub async fn set_password(
        &self,
        org: &OrgId,
        login: &str,
        role: Role,
        password: SecretString,
    ) -> Result<Pilot, AdminError> {
        if !is_login(login) {
            return Err(AdminError::Refused(format!("the name {LOGIN_RULE}")));
        }
        let hash = Passwords::default().hash(&password).map_err(|error| AdminError::Refused(error.to_string()))?;
        let set = self.control.pilots(org).set_password(login, role, hash, &by(), Timestamp::now()).await?;
        let set =
            set.ok_or_else(|| AdminError::Refused(format!("there is no organisation `{org}`, or it is closed")))?;
        self.note("password_set", set.pilot_id.clone()).await;
        Ok(set)
    }

    /// Every pilot, or those of one organisation, in the order of their ids.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_pilots(&self, org: Option<OrgId>) -> Result<Vec<Pilot>, AdminError> {
        let orgs = match org {
            Some(org) => vec![org],
            None => self.orgs().await?,
        };
        let mut pilots: Vec<Pilot> = Vec::new();
        for org in orgs {
            let (of_org, mut after) = (self.control.pilots(&org), None);
            loop {
                let page = of_org.list(after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.pilot_id.clone());
                pilots.extend(page);
            }
        }
        Ok(pilots)
    }

    /// Changes a pilot; one that is shut out loses its sessions.
    ///
    /// # Errors
    /// When there is none of this id.
    pub async fn change_pilot(&self, org: &OrgId, id: &str, change: PilotChange) -> Result<Pilot, AdminError> {
        let changed = self.control.pilots(org).change(id, change, &by(), Timestamp::now()).await?;
        let changed = changed.ok_or_else(|| AdminError::Refused(format!("there is no pilot `{id}` in `{org}`")))?;
        self.note("pilot_change", changed.pilot_id.clone()).await;
        Ok(changed)
    }

    /// Makes the key that is to sign access tokens next, five minutes from now; those of before verify until their last
    /// token has expired. Its id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rotate_signing_key(&self) -> Result<String, AdminError> {
        let now = Timestamp::now();
        // Where there is none yet, this makes the first.
        self.control.signing_keys(now).await?;
        let key = StoredKey::next(KeyKind::EdDsa, now);
        self.control.add_signing_key(&key, &by(), now).await?;
        self.note("signing_key_rotate", key.id.clone()).await;
        Ok(key.id)
    }

    /// Proves the audit log of one organisation, or of each: every row, and that it goes through the ends that were noted
    /// in the data directory and in `heads`, which are logs of services (`-` is the standard input). `told` hears what
    /// was found of each. What stands in rows in the place of an organisation's id is the answer: there should be none.
    ///
    /// # Errors
    /// When the database does not answer, or a file cannot be read.
    pub async fn verify_audit(
        &self,
        org: Option<OrgId>,
        heads: &[PathBuf],
        mut told: impl FnMut(AuditVerdict),
    ) -> Result<BTreeSet<String>, AdminError> {
        let mut known = self.known_heads(heads)?;
        let mut audited = self.audited(org.as_ref()).await?;
        if org.is_none() {
            audited.orgs.extend(known.keys().cloned());
        }
        for org in audited.orgs {
            told(audit::verify(&self.control, &org, known.remove(&org).unwrap_or_default()).await?);
        }
        Ok(audited.nobodys)
    }

    /// Of one organisation, or of all.
    async fn audited(&self, org: Option<&OrgId>) -> Result<Audited, AdminError> {
        Ok(match org {
            Some(org) => Audited { orgs: [org.clone()].into(), ..Audited::default() },
            None => self.control.audited().await?,
        })
    }

    fn known_heads(&self, files: &[PathBuf]) -> Result<BTreeMap<OrgId, Vec<Head>>, AdminError> {
        let unread = |error: std::io::Error| AdminError::Refused(format!("{}: {error}", self.heads.display()));
        let own = self.heads.try_exists().map_err(unread)?.then_some(&self.heads);
        let mut known: BTreeMap<OrgId, Vec<Head>> = BTreeMap::new();
        for file in own.into_iter().chain(files) {
            let unread = |error: std::io::Error| AdminError::Refused(format!("{}: {error}", file.display()));
            let read = match file.as_os_str() == "-" {
                true => audit::read_heads(std::io::stdin().lock()),
                false => std::fs::File::open(file).and_then(|file| audit::read_heads(BufReader::new(file))),
            };
            for (org, head) in read.map_err(unread)? {
                let of_org = known.entry(org).or_default();
                // Most lines of a log repeat the one before, from another replica.
                if of_org.last() != Some(&head) {
                    of_org.push(head);
                }
            }
        }
        Ok(known)
    }

    /// Every row of the audit log of one organisation, or of each, once: as they are in its chain, and then those that are
    /// not linked yet; last, what was linked while those were read. The answer is what was left out, because it cannot be
    /// read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn export_audit(
        &self,
        org: Option<OrgId>,
        mut told: impl FnMut(AuditRow),
    ) -> Result<LeftOut, AdminError> {
        let audited = self.audited(org.as_ref()).await?;
        let mut left_out = LeftOut { rows: 0, nobodys: audited.nobodys };
        for org in audited.orgs {
            left_out.rows += self.control.audit_log(&org).export(&mut told).await?;
        }
        Ok(left_out)
    }

    async fn orgs(&self) -> Result<Vec<OrgId>, AdminError> {
        let mut ids: Vec<OrgId> = Vec::new();
        loop {
            let after = ids.last().map(OrgId::to_string);
            let page = self.control.list_orgs(after, PAGE).await?;
            if page.is_empty() {
                return Ok(ids);
            }
            ids.extend(page.into_iter().map(|org| org.id));
        }
    }

    async fn note(&self, what: &str, target: String) {
        let row = Action {
            target: Some(target),
            notes: Some(r#"{"by":"the command vx11"}"#.to_owned()),
            ..action(uuid::Uuid::now_v7().to_string(), what, "identity", "ok")
        };
        if let Err(error) = self.store.writer.write(Record::Action(row)).await {
            tracing::warn!(%error, action = what, "its row in the audit log is missing");
        }
        // No operator may run that would do it soon.
        if let Err(error) = self.control.link_audit().await {
            tracing::debug!(%error, "the audit log is linked later");
        }
    }
}

/// What an export of the audit log lacks.
#[derive(Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Rows of organisations that cannot be read: of a later version, or not as they were written.
    pub rows: u64,
    /// What stands in rows in the place of an organisation's id.
    pub nobodys: BTreeSet<String>,
}

/// Who acts.
fn by() -> Actor {
    Actor::new(BY, Role::Admin)
}
