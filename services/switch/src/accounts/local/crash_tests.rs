//! What is left of counters and ledger when the process dies: whatever was acknowledged, of the rest a beginning, and
//! of what was only reserved nothing.

use std::path::Path;

use prometheus::Registry;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tempfile::TempDir;
use vx11_chassis::config::{Common, DataDir};

use super::tests::{account, amounts, remaining};
use super::*;
use crate::accounts::Tokens;
use crate::accounts::money::Usd;
use crate::accounts::period::Period;
use crate::store::{Grouping, Ledger, LedgerRow, Payer, rfc3339};

/// Longest wait for the ledger.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than all requests take.
const LIMITS: [u64; 3] = [1_000_000; 3];
/// When all of it happens: in the morning of a day.
const NOW_MS: i64 = 1_763_690_400_000;

/// What happens before the process dies.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request comes in, with this estimate.
    Begin(u64),
    /// The request that came last of those under way is done, and has spent so much.
    End(u64),
    /// Everything so far is waited for.
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..200u64).prop_map(Step::Begin),
        5 => (0..300u64).prop_map(Step::End),
        1 => Just(Step::Flush),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn after_a_crash_the_counters_are_what_the_ledger_has(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(holds(&steps))?;
    }
}

async fn holds(steps: &[Step]) -> Result<(), TestCaseError> {
    let [living, dead] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let (ledger, before) = (ledger(&living), account(Period::Total, LIMITS));
    let (mut under_way, mut spent, mut acknowledged) = (Vec::new(), Vec::new(), 0);
    for step in steps {
        match *step {
            Step::Begin(tokens) => {
                under_way.push(reserve(&before, amounts(tokens, tokens), NOW_MS, 0).expect("room"));
            }
            Step::End(tokens) => {
                let Some(reservation) = under_way.pop() else { continue };
                settle(&reservation, amounts(tokens, tokens));
                ledger.add(row(spent.len(), tokens)).expect("taken");
                spent.push(tokens);
            }
            Step::Flush => {
                ledger.flush(PATIENCE).await;
                acknowledged = spent.len();
            }
        }
    }
    crash(living.path(), dead.path());

    let after = account(Period::Total, LIMITS);
    let ledger = self::ledger(&dead);
    let mut found = ledger.spent_since(rfc3339(0), Payer::Everybody).await.expect("sums");
    found.sort_by_key(|spending| spending.key.clone());
    let tokens: Vec<u64> = found.iter().map(|spending| spending.tokens).collect();
    prop_assert!((acknowledged..=spent.len()).contains(&tokens.len()), "{} of {acknowledged}", tokens.len());
    prop_assert_eq!(&tokens, &spent[..tokens.len()], "what is missing is missing at the end");
    // Rows, and what their day comes to, are written together.
    let within_a_day = ledger.usage(Grouping::Key, Some(rfc3339(NOW_MS - 1)), None).await.expect("rows");
    prop_assert_eq!(within_a_day, ledger.usage(Grouping::Key, None, None).await.expect("sums"));

    let sum: u64 = tokens.iter().sum();
    for (meter, used) in after.meters.iter().zip([tokens.len() as u64, sum, sum]) {
        restore(&after.tenant, meter, used, NOW_MS);
    }
    prop_assert_eq!(remaining(&after, NOW_MS), [LIMITS[0] - tokens.len() as u64, LIMITS[1] - sum, LIMITS[2] - sum]);
    Ok(())
}

fn ledger(directory: &TempDir) -> Ledger {
    let common = Common { data_dir: DataDir(directory.path().to_owned()), ..Common::default() };
    Ledger::open(&common, &Registry::new()).expect("a ledger")
}

/// The files as they are at this moment are what a process leaves that is killed.
fn crash(living: &Path, dead: &Path) {
    // In this order: what goes from the log into the database stays in the log for the time being.
    for file in ["switch.sqlite3", "switch.sqlite3-wal"] {
        if living.join(file).exists() {
            std::fs::copy(living.join(file), dead.join(file)).expect("copied");
        }
    }
}

/// The row of the request of this number; its key is its name.
fn row(number: usize, tokens: u64) -> LedgerRow {
    LedgerRow {
        at_ms: NOW_MS,
        correlation_id: "c".into(),
        org: "".into(),
        team: "".into(),
        key: format!("{number:04}").into(),
        model: "m".into(),
        provider: "p".into(),
        provider_model: "m".into(),
        tokens: Tokens { prompt: tokens, ..Tokens::default() },
        estimated: false,
        from_cache: false,
        intervention: None,
        cost: Usd::from_picos(tokens),
        latency_ms: 1,
    }
}
