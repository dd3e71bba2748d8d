//! The audit log's hash chain: each row's hash is made of the one before it and of the row itself.
//!
//! Whoever changes, takes out, puts in or moves a row has to make every later hash anew. That is found when any later
//! hash is known from elsewhere, so the newest ([`Head`]) is written to the log from time to time, and a verification
//! takes one to compare with. Without it, rows cut off at the end, or a chain that was made anew as a whole, can't be
//! told from a shorter or another log.

use std::fmt;

use crate::sha256::Sha256;

/// What stands before the first row.
pub const GENESIS: Sha256 = Sha256::from_bytes([0; 32]);

/// A row's fields as bytes, the same for the same row on every machine, and different for different rows.
///
/// Each field goes in with its name, and with lengths before both, so that no text can pass for the end of one field
/// and the beginning of the next; an absent field differs from an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CanonicalRow(Vec<u8>);

impl CanonicalRow {
    /// A row without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The row with a field more; the order of fields counts.
    #[must_use]
    pub fn field(mut self, name: &str, value: Option<&str>) -> Self {
        self.push(name.as_bytes());
        match value {
            Some(value) => {
                self.0.push(1);
                self.push(value.as_bytes());
            }
            None => self.0.push(0),
        }
        self
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }
}

/// The hash of a row that follows the one of `previous`.
pub fn link(previous: Sha256, sequence: u64, row: &CanonicalRow) -> Sha256 {
    Sha256::of_parts([&previous.as_bytes()[..], &sequence.to_be_bytes(), &row.0])
}

/// A row as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number: one more than the row's before it.
    pub sequence: u64,
    /// Its fields.
    pub row: CanonicalRow,
    /// What [`link`] made when it was written.
    pub hash: Sha256,
}

/// The end of a chain at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the newest row; 0 before the first.
    pub sequence: u64,
    /// Its hash.
    pub hash: Sha256,
}

impl Head {
    /// Before the first row.
    pub const START: Self = Self { sequence: 0, hash: GENESIS };

    /// The entry that follows.
    pub fn follow(self, row: CanonicalRow) -> Entry {
        let sequence = self.sequence + 1;
        Entry { sequence, hash: link(self.hash, sequence, &row), row }
    }
}

/// A chain without a flaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many rows it has.
    pub rows: u64,
    /// Its end.
    pub head: Head,
}

/// Where a chain breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {at}: {why}")]
pub struct Broken {
    /// The number of the row that is wrong or missing.
    pub at: u64,
    /// What is wrong.
    pub why: Flaw,
}

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its fields or its hash are not those that were written.
    Changed,
    /// It isn't there.
    Missing,
    /// Its number was there already: it was put in, or moved.
    OutOfOrder,
    /// It stands behind what the store knows as the end.
    BehindTheEnd,
    /// It was written and has waited for its place in the chain for too long.
    Unlinked,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "was changed",
            Self::Missing => "is missing",
            Self::OutOfOrder => "was put in or moved",
            Self::BehindTheEnd => "was put in behind the end",
            Self::Unlinked => "has waited to be linked for more than a minute: does an operator run?",
        })
    }
}

/// A verification under way. It is fed one row after the other and keeps none of them, so the log may be as long as it
/// likes.
#[derive(Debug)]
pub struct Verification {
    start: Head,
    head: Head,
    /// Ends of the same chain that were seen earlier, and that the verification has not come to; the last is the next.
    known: Vec<Head>,
}

impl Verification {
    /// Begins behind `start`: [`Head::START`], or what an earlier verification ended at. Each of `known`, ends of the
    /// same chain that were seen earlier, must be among the rows; one from before `start` proves nothing.
    ///
    /// # Errors
    /// When `start` isn't what is known of it.
    pub fn begin(start: Head, known: impl IntoIterator<Item = Head>) -> Result<Self, Broken> {
        let mut known: Vec<_> = known.into_iter().filter(|known| known.sequence >= start.sequence).collect();
        known.sort_by_key(|known| std::cmp::Reverse(known.sequence));
        let mut verification = Self { start, head: start, known };
        verification.meet()?;
        Ok(verification)
    }

    /// Takes the next row, in the order that they were written.
    ///
    /// # Errors
    /// [`Broken`] names the row that is wrong, or missing before this one. The verification is of no use then.
    pub fn feed(&mut self, entry: &Entry) -> Result<(), Broken> {
        let expected = self.head.sequence + 1;
        if entry.sequence > expected {
            return Err(Broken { at: expected, why: Flaw::Missing });
        }
        if entry.sequence < expected {
            return Err(Broken { at: entry.sequence, why: Flaw::OutOfOrder });
        }
        self.head = Head { sequence: expected, hash: link(self.head.hash, expected, &entry.row) };
        if self.head.hash != entry.hash {
            return Err(Broken { at: expected, why: Flaw::Changed });
        }
        self.meet()
    }

    /// Ends behind the last row.
    ///
    /// # Errors
    /// When there were more rows once.
    pub fn end(self) -> Result<Verified, Broken> {
        if self.known.is_empty() {
            return Ok(Verified { rows: self.head.sequence - self.start.sequence, head: self.head });
        }
        Err(Broken { at: self.head.sequence + 1, why: Flaw::Missing })
    }

    /// Compares with what is known of this place.
    fn meet(&mut self) -> Result<(), Broken> {
        while let Some(known) = self.known.pop_if(|known| known.sequence == self.head.sequence) {
            if known.hash != self.head.hash {
                return Err(Broken { at: known.sequence, why: Flaw::Changed });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    type Fields = [Option<String>; 3];

    fn canonical(fields: &Fields) -> CanonicalRow {
        let names = ["action", "target", "notes"];
        names.iter().zip(fields).fold(CanonicalRow::new(), |row, (name, value)| row.field(name, value.as_deref()))
    }

    fn chain(rows: &[Fields]) -> Vec<Entry> {
        let mut head = Head::START;
        let follow = |row: &Fields| {
            let entry = head.follow(canonical(row));
            head = Head { sequence: entry.sequence, hash: entry.hash };
            entry
        };
        rows.iter().map(follow).collect()
    }

    fn end(entries: &[Entry]) -> Head {
        entries.last().map_or(Head::START, |last| Head { sequence: last.sequence, hash: last.hash })
    }

    fn rows() -> impl Strategy<Value = Vec<Fields>> {
        prop::collection::vec(prop::array::uniform3(prop::option::of("[ab]{0,2}")), 2..12)
    }

    /// Verifies that `entries` follow `start`, and that the end `known` is among them.
    fn verify(start: Head, entries: impl IntoIterator<Item = Entry>, known: Option<Head>) -> Result<Verified, Broken> {
        let mut verification = Verification::begin(start, known)?;
        entries.into_iter().try_for_each(|entry| verification.feed(&entry))?;
        verification.end()
    }

    fn check(entries: Vec<Entry>, known: Head) -> Result<Verified, Broken> {
        verify(Head::START, entries, Some(known))
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let row = |a: Option<&str>, b: Option<&str>| CanonicalRow::new().field("a", a).field("b", b);
        assert_ne!(row(Some("xy"), Some("")), row(Some("x"), Some("y")));
        assert_ne!(row(None, Some("")), row(Some(""), None));
        assert_ne!(CanonicalRow::new().field("a", None), CanonicalRow::new().field("b", None));
    }

    #[test]
    fn a_hash_is_of_the_place_as_well_as_of_the_row() {
        let row = CanonicalRow::new().field("a", Some("x"));
        assert_ne!(link(GENESIS, 1, &row), link(GENESIS, 2, &row));
        assert_ne!(link(GENESIS, 1, &row), link(Sha256::of(b""), 1, &row));
    }

    #[test]
    fn an_empty_log_is_without_a_flaw_unless_it_was_longer_once() {
        assert_eq!(verify(Head::START, [], None), Ok(Verified { rows: 0, head: Head::START }));
        let known = Head { sequence: 2, hash: GENESIS };
        assert_eq!(verify(Head::START, [], Some(known)), Err(Broken { at: 1, why: Flaw::Missing }));
    }

    proptest! {
        #[test]
        fn an_untouched_chain_is_verified_from_any_row_on(rows in rows(), from: Index) {
            let entries = chain(&rows);
            let known = end(&entries);
            let verified = Verified { rows: rows.len() as u64, head: known };
            prop_assert_eq!(verify(Head::START, entries.clone(), None), Ok(verified));
            let from = from.index(rows.len());
            let left = verify(end(&entries[..from]), entries[from..].to_vec(), Some(known)).expect("verified");
            prop_assert_eq!((left.rows, left.head), ((rows.len() - from) as u64, known));
        }

        #[test]
        fn a_changed_field_is_found_where_it_is(rows in rows(), at: Index, which in 0usize..3, to in prop::option::of("[ab]{0,2}")) {
            let (mut entries, at) = (chain(&rows), at.index(rows.len()));
            let mut changed = rows[at].clone();
            changed[which] = to;
            prop_assume!(changed != rows[at]);
            entries[at].row = canonical(&changed);
            let broken = verify(Head::START, entries, None).expect_err("found");
            prop_assert_eq!(broken, Broken { at: at as u64 + 1, why: Flaw::Changed });
        }

        #[test]
        fn a_changed_hash_or_number_is_found(rows in rows(), at: Index, bit in 0usize..256, by in prop_oneof![Just(-1i64), Just(1), Just(5)]) {
            let (entries, at) = (chain(&rows), at.index(rows.len()));
            let known = end(&entries);
            let mut of_hash = entries.clone();
            let mut bytes = *of_hash[at].hash.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            of_hash[at].hash = Sha256::from_bytes(bytes);
            prop_assert_eq!(check(of_hash, known), Err(Broken { at: at as u64 + 1, why: Flaw::Changed }));
            let mut of_number = entries;
            of_number[at].sequence = of_number[at].sequence.wrapping_add_signed(by);
            prop_assert!(check(of_number, known).is_err());
        }

        #[test]
        fn a_missing_row_is_found_where_it_was(rows in rows(), at: Index) {
            let (mut entries, at) = (chain(&rows), at.index(rows.len()));
            let known = end(&entries);
            entries.remove(at);
            prop_assert_eq!(check(entries, known), Err(Broken { at: at as u64 + 1, why: Flaw::Missing }));
        }

        #[test]
        fn a_row_taken_out_and_its_followers_numbered_anew_is_found(rows in rows(), at: Index) {
            let (mut entries, at) = (chain(&rows), at.index(rows.len()));
            let known = end(&entries);
            entries.remove(at);
            entries[at..].iter_mut().for_each(|entry| entry.sequence -= 1);
            prop_assert!(check(entries, known).is_err());
        }

        #[test]
        fn a_row_put_in_is_found(rows in rows(), at: Index, source: Index, numbered_anew: bool) {
            let (mut entries, at) = (chain(&rows), at.index(rows.len() + 1));
            let known = end(&entries);
            let copy = entries[source.index(rows.len())].clone();
            entries.insert(at, copy);
            if numbered_anew {
                entries.iter_mut().zip(1..).for_each(|(entry, sequence)| entry.sequence = sequence);
            }
            prop_assert!(check(entries, known).is_err());
        }

        #[test]
        fn two_rows_that_changed_places_are_found(rows in rows(), one: Index, other: Index, numbered_anew: bool) {
            let mut entries = chain(&rows);
            let known = end(&entries);
            let (one, other) = (one.index(rows.len()), other.index(rows.len()));
            prop_assume!(one != other);
            entries.swap(one, other);
            if numbered_anew {
                entries.iter_mut().zip(1..).for_each(|(entry, sequence)| entry.sequence = sequence);
            }
            prop_assert!(check(entries, known).is_err());
        }

        #[test]
        fn every_end_that_was_seen_must_be_among_the_rows(rows in rows(), seen: Vec<Index>, wrong: Index) {
            let entries = chain(&rows);
            let mut known: Vec<_> = seen.iter().map(|seen| end(&entries[..seen.index(rows.len() + 1)])).collect();
            let run = |known: Vec<Head>| {
                let mut verification = Verification::begin(Head::START, known)?;
                entries.iter().try_for_each(|entry| verification.feed(entry))?;
                verification.end()
            };
            prop_assert!(run(known.clone()).is_ok());
            let wrong = wrong.index(rows.len()) as u64 + 1;
            known.push(Head { sequence: wrong, hash: Sha256::of(b"other") });
            prop_assert_eq!(run(known), Err(Broken { at: wrong, why: Flaw::Changed }));
        }

        #[test]
        fn a_chain_made_anew_is_found_by_what_was_seen_of_it(rows in rows(), at: Index, to in "c") {
            let known = end(&chain(&rows));
            let mut forged = rows.clone();
            forged[at.index(rows.len())][0] = Some(to);
            let forged = chain(&forged);
            verify(Head::START, forged.clone(), None).expect("it is a chain");
            prop_assert_eq!(check(forged, known), Err(Broken { at: known.sequence, why: Flaw::Changed }));
        }
    }
}
