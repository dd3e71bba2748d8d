//! How long the operator's tables keep their rows.

use std::collections::BTreeMap;

use vx11_store::upkeep::{RetentionRule, RowOrder};

/// Days that log tables keep their rows where nothing else is configured.
const LOG_DAYS: u32 = 30;
/// The log tables, with the column that dates a row. Conversations are not logs: they go only where that is configured.
const LOGS: [(&str, &str, RowOrder); 3] = [
    // Its ids are those of the event stream.
    ("copilot_actions_log", "timestamp", RowOrder::ByLastingId),
    ("performance_logs", "timestamp", RowOrder::ById),
    ("performance_minutes", "minute", RowOrder::Indexed),
];
const CONVERSATIONS: [(&str, &str, RowOrder); 2] =
    [("turns", "timestamp", RowOrder::ById), ("sessions", "last_activity_at", RowOrder::Indexed)];

/// The rules in force: `configured` days by table, else `log_days` for logs.
pub(crate) fn retention_rules(configured: &BTreeMap<String, u32>, log_days: Option<u32>) -> Vec<RetentionRule> {
    let rule = |(table, time_column, order): (&str, &str, RowOrder), days| RetentionRule {
        table: table.to_owned(),
        time_column: time_column.to_owned(),
        order,
        days,
    };
    let configured = |table: &str| configured.get(table).copied();
    let logs = LOGS.map(|log| rule(log, configured(log.0).or(log_days).unwrap_or(LOG_DAYS)));
    let conversations = CONVERSATIONS.into_iter().filter_map(|kept| Some(rule(kept, configured(kept.0)?)));
    logs.into_iter().chain(conversations).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_go_after_thirty_days_and_conversations_never_unless_configured() {
        let default = retention_rules(&BTreeMap::new(), None);
        assert!(default.iter().all(|rule| rule.days == 30 && rule.table != "turns"));
        assert!(retention_rules(&BTreeMap::new(), Some(7)).iter().all(|rule| rule.days == 7));
        let configured = BTreeMap::from([("turns".to_owned(), 365), ("performance_logs".to_owned(), 3)]);
        let rules = retention_rules(&configured, Some(7));
        let days = |table: &str| rules.iter().find(|rule| rule.table == table).map(|rule| rule.days);
        assert_eq!(
            (days("turns"), days("performance_logs"), days("copilot_actions_log")),
            (Some(365), Some(3), Some(7))
        );
    }
}
