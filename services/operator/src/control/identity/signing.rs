//! The keys that sign, which replicas share.

use diesel::prelude::*;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use vx11_contracts::identity::OrgId;
use vx11_contracts::time;
use vx11_identity::{KeyKind, SigningKeys, StoredKey};
use vx11_store::{AnyConnection, Scope, StoreError};

use super::super::schema::signing_keys;
use super::super::{Control, audit};
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;

/// How long a key signs before another follows it.
const PERIOD: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Control {
    /// Every key there is. The first of each kind is made where there is none, the next for tokens where the newest has signed for a month, and
    /// those whose last token has expired are deleted: whichever replica comes first does it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn signing_keys(&self, now: Timestamp) -> Result<Vec<StoredKey>, StoreError> {
        let stored = self.database.read(Scope::Platform, |conn| Ok::<_, StoreError>(load(conn)?)).await?;
        if Change::of(&stored, now).is_none() {
            return Ok(stored);
        }
        let write = move |conn: &mut AnyConnection| {
            let stored = load(conn)?;
            // Somebody may have been faster.
            let Some(change) = Change::of(&stored, now) else { return Ok(stored) };
            change.write(conn)?;
            Ok::<_, StoreError>(load(conn)?)
        };
        self.database.write(Scope::Platform, write).await
    }

    /// Adds a key: one that is to follow those in use before their time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn add_signing_key(&self, key: &StoredKey, by: &Actor, now: Timestamp) -> Result<(), StoreError> {
        let entry = Entry::done(by, "signing_key.rotate", time::render(now)).to("signing_key", &key.id);
        let key = key.clone();
        let write = move |conn: &mut AnyConnection| {
            insert(conn, &key)?;
            Ok::<_, StoreError>(audit::append(conn, OrgId::PLATFORM, &entry)?)
        };
        self.database.write(Scope::Platform, write).await
    }
}

/// What is to be done about the keys.
struct Change {
    made: Vec<StoredKey>,
    spent: Vec<String>,
}

impl Change {
    fn of(stored: &[StoredKey], now: Timestamp) -> Option<Self> {
        let (mut made, mut spent) = (Vec::new(), Vec::new());
        match SigningKeys::new(stored) {
            Ok(keys) => {
                made.extend(keys.is_due(PERIOD, now).then(|| StoredKey::next(KeyKind::EdDsa, now)));
                spent.extend(keys.spent(now).map(str::to_owned));
            }
            Err(_) => made.push(StoredKey::first(KeyKind::EdDsa, now)),
        }
        if !stored.iter().any(|key| key.kind == KeyKind::Seal) {
            made.push(StoredKey::first(KeyKind::Seal, now));
        }
        (!made.is_empty() || !spent.is_empty()).then_some(Self { made, spent })
    }

    fn write(self, conn: &mut AnyConnection) -> QueryResult<()> {
        self.made.iter().try_for_each(|key| insert(conn, key))?;
        diesel::delete(signing_keys::table.filter(signing_keys::id.eq_any(self.spent))).execute(conn).map(drop)
    }
}

fn insert(conn: &mut AnyConnection, key: &StoredKey) -> QueryResult<()> {
    let secret = key.secret_for_row();
    let row = (
        signing_keys::id.eq(&key.id),
        signing_keys::kind.eq(key.kind.as_str()),
        signing_keys::signs_from.eq(time::render(key.signs_from)),
        signing_keys::secret.eq(secret.expose_secret()),
    );
    diesel::insert_into(signing_keys::table).values(row).execute(conn).map(drop)
}

fn load(conn: &mut AnyConnection) -> QueryResult<Vec<StoredKey>> {
    let rows: Vec<(String, String, String, String)> = signing_keys::table.load(conn)?;
    let read = |(id, kind, signs_from, secret): (String, String, String, String)| {
        let key = StoredKey::from_row(&id, &kind, signs_from.parse().ok()?, &secret.into());
        // One that a newer version made for something else is left alone.
        key.inspect_err(|error| tracing::warn!(key = id, %error, "a signing key is left out")).ok()
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
