//! Linking rows into the chain, a batch at a time, by one replica at a time.
//!
//! A row is linked once it can be seen, which is after its transaction: one that is committed late has a later number than
//! rows that were begun after it. What linked is killed before its commit has linked nothing, and the next one begins
//! where the last commit was.

use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Array, BigInt, Text};
use vx11_identity::audit_chain::{GENESIS, Head};
use vx11_store::{AnyConnection, Scope, StoreError};

use super::super::Control;
use super::super::schema::{audit_heads, audit_log};
use super::read::{Row, head};

/// Rows of one transaction; fewer in tests, which have several batches.
const BATCH: i64 = if cfg!(test) { 7 } else { 1000 };

/// A row's place in the chain.
struct Link {
    id: i64,
    seq: i64,
    hash: String,
}

impl Control {
    /// Links up to a batch of rows in each log that has some, unless another replica is at it; whether there may be more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn link_audit(&self) -> Result<bool, StoreError> {
        let (mut more, mut last) = (false, None);
        while let Some(org) = self.unlinked_org_after(last).await? {
            match self.link_log(org.clone()).await {
                Ok(linked) => more |= linked == BATCH as usize,
                // It keeps no other log from being linked.
                Err(error) => tracing::error!(%error, %org, "rows of the audit log cannot be linked"),
            }
            last = Some(org);
        }
        Ok(more)
    }

    /// A look into an index of what is not linked.
    async fn unlinked_org_after(&self, after: Option<String>) -> Result<Option<String>, StoreError> {
        let read = move |conn: &mut AnyConnection| {
            let after = after.unwrap_or_default();
            let later = audit_log::table.filter(audit_log::seq.is_null()).filter(audit_log::org_id.gt(after));
            let first = later.order((audit_log::org_id, audit_log::id)).select(audit_log::org_id);
            Ok::<_, StoreError>(first.first(conn).optional()?)
        };
        self.database.read(Scope::Platform, read).await
    }

    /// Links a batch; how many rows that were.
    async fn link_log(&self, org: String) -> Result<usize, StoreError> {
        let scope = Scope::Org(org.as_str().into());
        let link = move |conn: &mut AnyConnection| Ok::<_, StoreError>(link(conn, &org)?);
        self.database.write(scope, link).await
    }
}

fn link(conn: &mut AnyConnection, org: &str) -> QueryResult<usize> {
    let Some(mut end) = locked_head(conn, org)? else { return Ok(0) };
    // After the lock: what another replica linked meanwhile is not among them.
    let unlinked = audit_log::table.filter(audit_log::org_id.eq(org)).filter(audit_log::seq.is_null());
    let rows: Vec<Row> = unlinked.order(audit_log::id.asc()).limit(BATCH).select(Row::as_select()).load(conn)?;
    if rows.is_empty() {
        return Ok(0);
    }
    let follow = |row: &Row| {
        let entry = end.follow(row.canonical());
        end = Head { sequence: entry.sequence, hash: entry.hash };
        Link { id: row.id, seq: entry.sequence.cast_signed(), hash: entry.hash.to_string() }
    };
    let links: Vec<Link> = rows.iter().map(follow).collect();
    let (count, linked) = (links.len(), set(conn, org, links)?);
    if linked != count {
        return Err(Error::RollbackTransaction);
    }
    let next = (audit_heads::seq.eq(end.sequence.cast_signed()), audit_heads::hash.eq(end.hash.to_string()));
    diesel::update(audit_heads::table.filter(audit_heads::org_id.eq(org))).set(next).execute(conn)?;
    Ok(count)
}

/// The end of the chain, which nobody else moves until the transaction ends. `None`: somebody else is linking.
fn locked_head(conn: &mut AnyConnection, org: &str) -> QueryResult<Option<Head>> {
    let stored = audit_heads::table.find(org).select((audit_heads::seq, audit_heads::hash));
    let stored: Option<(i64, String)> = match conn {
        AnyConnection::Postgres(conn) => stored.for_update().skip_locked().get_result(conn).optional()?,
        // One writes at a time.
        AnyConnection::Sqlite(conn) => stored.get_result(conn).optional()?,
    };
    if let Some(stored) = stored {
        return Ok(Some(head(stored)));
    }
    // The first rows of an organisation, or a head that is locked: then it is there.
    let start = (audit_heads::org_id.eq(org), audit_heads::seq.eq(0), audit_heads::hash.eq(GENESIS.to_string()));
    let insert = diesel::insert_into(audit_heads::table).values(start);
    let made = match conn {
        AnyConnection::Postgres(conn) => insert.on_conflict_do_nothing().execute(conn)?,
        AnyConnection::Sqlite(conn) => insert.execute(conn)?,
    };
    Ok((made == 1).then_some(Head::START))
}

/// How many of the rows were linked: those that were not.
fn set(conn: &mut AnyConnection, org: &str, links: Vec<Link>) -> QueryResult<usize> {
    match conn {
        AnyConnection::Postgres(conn) => {
            let ids: Vec<i64> = links.iter().map(|link| link.id).collect();
            let seqs: Vec<i64> = links.iter().map(|link| link.seq).collect();
            let hashes: Vec<String> = links.into_iter().map(|link| link.hash).collect();
            // One statement for all of them, as each would be a way there and back.
            let update = "UPDATE audit_log SET seq = link.seq, hash = link.hash
                FROM unnest($2::bigint[], $3::bigint[], $4::text[]) AS link (id, seq, hash)
                WHERE audit_log.org_id = $1 AND audit_log.id = link.id AND audit_log.seq IS NULL";
            let update = diesel::sql_query(update).bind::<Text, _>(org.to_owned());
            let update = update.bind::<Array<BigInt>, _>(ids).bind::<Array<BigInt>, _>(seqs);
            update.bind::<Array<Text>, _>(hashes).execute(conn)
        }
        AnyConnection::Sqlite(conn) => {
            let mut linked = 0;
            for Link { id, seq, hash } in links {
                let row = audit_log::table.filter(audit_log::org_id.eq(org)).filter(audit_log::id.eq(id));
                let link = (audit_log::seq.eq(seq), audit_log::hash.eq(hash));
                linked += diesel::update(row.filter(audit_log::seq.is_null())).set(link).execute(conn)?;
            }
            Ok(linked)
        }
    }
}
