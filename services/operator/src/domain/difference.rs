//! How two answers to the same request differ.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use similar::TextDiff;
use vx11_contracts::chat::ChatResponse;
use vx11_contracts::operator::{Difference, Turn};

/// Compares a stored answer with a new one. It computes; long answers with little in common take long.
///
/// Each of the two texts' comparisons, by lines and by words, gets `limit`. After that it is finished roughly: the diff
/// still turns one answer into the other, and may show, as the similarity may count, more as changed than is.
pub(crate) fn compare(before: &Turn, after: &ChatResponse, limit: Duration) -> Difference {
    let identical = before.response == after.response;
    let comparison = || {
        let mut comparison = TextDiff::configure();
        comparison.timeout(limit);
        comparison
    };
    let unified_diff = if identical {
        String::new()
    } else {
        comparison()
            .diff_lines(&before.response, &after.response)
            .unified_diff()
            .header("original", "replayed")
            .to_string()
    };
    let words = comparison().diff_words(&before.response, &after.response);
    Difference {
        identical,
        similarity: f64::from(words.ratio()),
        unified_diff,
        fields: changed_fields(before, after),
        latency_delta_ms: signed(after.latency_ms) - signed(before.latency_ms),
    }
}

fn changed_fields(before: &Turn, after: &ChatResponse) -> BTreeMap<String, [Value; 2]> {
    let pairs = [
        ("provider", json!(before.provider), json!(after.provider)),
        ("model_used", json!(before.model_used), json!(after.model_used)),
        ("status", json!(before.status), json!(after.status)),
        ("degraded", json!(before.degraded), json!(after.degraded)),
        ("fallback_source", json!(before.fallback_source), json!(after.fallback_source)),
        ("usage", json!(before.usage), json!(after.usage)),
    ];
    let changed = pairs.into_iter().filter(|(_, before, after)| before != after);
    changed.map(|(name, before, after)| (name.to_owned(), [before, after])).collect()
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use vx11_contracts::chat::{ChatProvider, ChatStatus};

    use super::*;

    fn turn(response: &str) -> Turn {
        Turn {
            id: 1,
            timestamp: "2026-11-21T04:05:06.789Z".to_owned(),
            session_id: "s".to_owned(),
            correlation_id: "c".to_owned(),
            message: "hello".to_owned(),
            response: response.to_owned(),
            provider: "switch".to_owned(),
            model_used: "model-1".to_owned(),
            status: "DONE".to_owned(),
            degraded: false,
            fallback_source: None,
            latency_ms: 5,
            usage: None,
        }
    }

    fn answer(response: &str) -> ChatResponse {
        ChatResponse {
            response: response.to_owned(),
            model_used: "model-1".to_owned(),
            latency_ms: 7,
            correlation_id: "c".to_owned(),
            session_id: "s".to_owned(),
            provider: ChatProvider::Switch,
            status: ChatStatus::Done,
            degraded: false,
            fallback_source: None,
            cache_hit: None,
            reasoning: None,
            usage: None,
            plan_id: None,
            confirm_token: None,
            storage: None,
        }
    }

    /// The lines of a diff that begin with `sign`, put together again.
    fn lines(diff: &str, sign: char) -> String {
        let body = diff.lines().skip(2).filter(|line| !line.starts_with('@'));
        let kept = body.filter_map(|line| line.strip_prefix([sign, ' ']));
        kept.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn without_time_the_diff_is_rough_and_still_turns_one_answer_into_the_other() {
        let every = |step: usize| (0..1_000).map(|n| format!("line {}\n", n * step)).collect::<String>();
        let (before, after) = (every(2), every(3));
        let compared = |limit| compare(&turn(&before), &answer(&after), limit);
        let (rough, fine) = (compared(Duration::ZERO), compared(Duration::from_secs(60)));
        for difference in [&rough, &fine] {
            let diff = &difference.unified_diff;
            assert!(lines(diff, '-') == before && lines(diff, '+') == after, "{diff}");
        }
        assert!(rough.similarity < fine.similarity, "{} {}", rough.similarity, fine.similarity);
    }
}
