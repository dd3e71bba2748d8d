//! Proving a log: every row read, a page at a time, while it goes on growing.

use std::collections::BTreeSet;

use diesel::dsl::{count_star, max};
use diesel::prelude::*;
use jiff::{SignedDuration, Timestamp};
use vx11_contracts::identity::OrgId;
use vx11_contracts::time;
use vx11_identity::Sha256;
use vx11_identity::audit_chain::{Broken, Flaw, Head, Verification, Verified};
use vx11_store::{AnyConnection, Scope, StoreError};

use super::super::Control;
use super::super::schema::{audit_heads, audit_log};
use super::AuditLog;
use super::read::head;

/// Rows that are held at a time; fewer in tests, which have several pages.
const PAGE: i64 = if cfg!(test) { 7 } else { 1000 };
/// How long a row may wait to be linked.
const LINKED_WITHIN: SignedDuration = SignedDuration::from_secs(60);
/// Organisations of one look.
const ORGS: i64 = 500;

type Number = Option<i64>;
/// What is read of a [`State`], in its order; the end first, as number and hash.
type Found = (Number, Option<String>, Number, Number, Number);

/// What was found of a log.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The chain's end, or what is wrong with the log.
    pub(crate) found: Result<Verified, Broken>,
    /// Rows that are in the log, and not in the chain yet.
    pub(crate) unlinked: u64,
}

/// A log at some moment.
struct State {
    /// Its end, as the store knows it.
    end: Head,
    /// The last number that there is.
    last: u64,
    unlinked: u64,
    /// How many of them should be linked by now.
    overdue: u64,
}

impl AuditLog {
    /// Verifies every row up to the end at `now`, and that each of `known`, ends that were noted earlier, is among them.
    ///
    /// # Errors
    /// When the database does not answer. What is wrong with the log is part of the answer.
    pub(crate) async fn verify(&self, known: Vec<Head>, now: Timestamp) -> Result<Proof, StoreError> {
        let state = self.state(now).await?;
        let mut found = self.verify_chain(known, &state).await?;
        if found.is_ok() && state.overdue > 0 {
            found = Err(Broken { at: state.end.sequence + 1, why: Flaw::Unlinked });
        }
        Ok(Proof { found, unlinked: state.unlinked })
    }

    async fn verify_chain(
        &self,
        mut known: Vec<Head>,
        &State { end, last, .. }: &State,
    ) -> Result<Result<Verified, Broken>, StoreError> {
        let goes_on = last > end.sequence;
        if goes_on {
            // What was noted of rows behind the end says nothing of where they come from.
            known.retain(|known| known.sequence <= end.sequence);
        }
        known.push(end);
        if let Err(broken) = self.run(known, end).await? {
            return Ok(Err(broken));
        }
        if goes_on {
            return Ok(Err(Broken { at: end.sequence + 1, why: Flaw::BehindTheEnd }));
        }
        Ok(Ok(Verified { rows: end.sequence, head: end }))
    }

    /// Verifies the rows up to `end`.
    async fn run(&self, known: Vec<Head>, end: Head) -> Result<Result<Verified, Broken>, StoreError> {
        let mut verification = match Verification::begin(Head::START, known) {
            Ok(verification) => verification,
            Err(broken) => return Ok(Err(broken)),
        };
        let mut before = None;
        loop {
            // The last row of the page before comes again, so that another one of its number would come too.
            let rows = self.stored_from(before, PAGE).await?;
            let again = rows.first().is_some_and(|row| before.is_some() && row.seq == before);
            for row in &rows[usize::from(again)..] {
                let entry = row.entry();
                // What was appended since then is for the next time.
                if entry.sequence > end.sequence {
                    return Ok(verification.end());
                }
                if let Err(broken) = verification.feed(&entry) {
                    return Ok(Err(broken));
                }
            }
            if rows.len() < PAGE as usize {
                return Ok(verification.end());
            }
            before = rows.last().and_then(|row| row.seq);
        }
    }

    /// In one statement, so that nothing is linked in between.
    async fn state(&self, now: Timestamp) -> Result<State, StoreError> {
        let org = self.org.clone();
        let due = time::render(now.checked_sub(LINKED_WITHIN).unwrap_or(Timestamp::MIN));
        let read = move |conn: &mut AnyConnection| {
            let stored = audit_heads::table.find(org.as_str());
            let rows = audit_log::table.filter(audit_log::org_id.eq(org.as_str()));
            let unlinked = rows.filter(audit_log::seq.is_null());
            let found: Found = diesel::select((
                stored.select(audit_heads::seq).single_value(),
                stored.select(audit_heads::hash).single_value(),
                rows.select(max(audit_log::seq)).single_value(),
                unlinked.select(count_star()).single_value(),
                unlinked.filter(audit_log::written_at.lt(due)).select(count_star()).single_value(),
            ))
            .get_result(conn)?;
            let (seq, hash, last, unlinked, overdue) = found;
            let number = |number: Number| number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
            let end = seq.zip(hash).map_or(Head::START, head);
            Ok::<_, StoreError>(State { end, last: number(last), unlinked: number(unlinked), overdue: number(overdue) })
        };
        self.database.read(self.scope(), read).await
    }

    /// The hash of the row `seq`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn hash_of(&self, seq: u64) -> Result<Option<Sha256>, StoreError> {
        let org = self.org.clone();
        let read = move |conn: &mut AnyConnection| {
            let row = audit_log::table.filter(audit_log::org_id.eq(org.as_str()));
            let row = row.filter(audit_log::seq.eq(seq.cast_signed())).select(audit_log::hash);
            let hash: Option<Option<String>> = row.first(conn).optional()?;
            Ok::<_, StoreError>(hash.flatten().and_then(|hash| hash.parse().ok()))
        };
        self.database.read(self.scope(), read).await
    }
}

/// Whose logs there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Audited {
    /// Organisations that have rows in a log, or a head.
    pub(crate) orgs: BTreeSet<OrgId>,
    /// What stands in rows where an organisation's id should: nobody who appends writes such a one.
    pub(crate) nobodys: BTreeSet<String>,
}

impl Control {
    /// The ends of all logs, up to a few hundred behind the organisation `after`, in order; by what stands in the rows.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn audit_heads(&self, after: Option<String>) -> Result<Vec<(String, Head)>, StoreError> {
        let read = move |conn: &mut AnyConnection| {
            let mut heads = audit_heads::table.filter(audit_heads::seq.gt(0)).into_boxed();
            if let Some(after) = after {
                heads = heads.filter(audit_heads::org_id.gt(after));
            }
            let heads = heads.order(audit_heads::org_id).limit(ORGS);
            let heads: Vec<(String, i64, String)> = heads.load(conn)?;
            Ok::<_, StoreError>(heads.into_iter().map(|(org, seq, hash)| (org, head((seq, hash)))).collect())
        };
        self.database.read(Scope::Platform, read).await
    }

    /// Whose logs there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn audited(&self) -> Result<Audited, StoreError> {
        let mut names = BTreeSet::new();
        let mut last = None;
        loop {
            let heads = self.audit_heads(last).await?;
            let Some((name, _)) = heads.last() else { break };
            last = Some(name.clone());
            names.extend(heads.into_iter().map(|(name, _)| name));
        }
        let mut last = None;
        while let Some(name) = self.audited_after(last).await? {
            names.insert(name.clone());
            last = Some(name);
        }
        let mut audited = Audited::default();
        for name in names {
            match name.parse() {
                Ok(org) => audited.orgs.insert(org),
                Err(_) => audited.nobodys.insert(name),
            };
        }
        Ok(audited)
    }

    /// A look into the index, however many rows there are.
    async fn audited_after(&self, after: Option<String>) -> Result<Option<String>, StoreError> {
        let read = move |conn: &mut AnyConnection| {
            let mut later = audit_log::table.into_boxed();
            if let Some(after) = after {
                later = later.filter(audit_log::org_id.gt(after));
            }
            let first = later.order((audit_log::org_id, audit_log::id)).select(audit_log::org_id);
            Ok::<_, StoreError>(first.first(conn).optional()?)
        };
        self.database.read(Scope::Platform, read).await
    }
}
