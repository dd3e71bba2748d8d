//! How long madre's tables keep their rows.

use std::collections::BTreeMap;

use vx11_store::upkeep::{RetentionRule, RowOrder};

/// Days that the trail is kept where nothing else is configured.
const LOG_DAYS: u32 = 30;
/// Days that plans and windows are kept where nothing else is configured.
const RECORD_DAYS: u32 = 90;

/// The rules in force: `configured` days by table, else `log_days` for the trail.
///
/// Windows are dated by when they closed, so an open one is never past it.
pub(crate) fn retention_rules(configured: &BTreeMap<String, u32>, log_days: Option<u32>) -> Vec<RetentionRule> {
    let rules = [
        ("copilot_actions_log", "timestamp", log_days.unwrap_or(LOG_DAYS)),
        ("plans", "updated_at", RECORD_DAYS),
        ("power_windows", "closed_at", RECORD_DAYS),
    ];
    let rule = |(table, time_column, days): (&str, &str, u32)| RetentionRule {
        table: table.to_owned(),
        time_column: time_column.to_owned(),
        order: RowOrder::Indexed,
        days: configured.get(table).copied().unwrap_or(days),
    };
    rules.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_goes_sooner_than_records_and_configuration_wins() {
        let days = |configured: &BTreeMap<String, u32>, log_days| {
            retention_rules(configured, log_days).iter().map(|rule| rule.days).collect::<Vec<_>>()
        };
        assert_eq!(days(&BTreeMap::new(), None), [30, 90, 90]);
        assert_eq!(days(&BTreeMap::new(), Some(7)), [7, 90, 90]);
        assert_eq!(days(&BTreeMap::from([("copilot_actions_log".to_owned(), 3)]), Some(7)), [3, 90, 90]);
    }
}
