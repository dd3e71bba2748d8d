use std::cell::Cell;

use serde_json::{Value, json};

use super::*;

fn terms(required_role: Role) -> Terms {
    Terms {
        title: None,
        priority: Priority::Normal,
        required_role,
        expires_in_seconds: 60,
        on_timeout: OnTimeout::Reject,
        allow: vec![DecisionKind::Approve, DecisionKind::Reject],
        wait_seconds: 0,
        decided_by: DecidedBy::Platform,
    }
}

fn rule(name: &str, when: When) -> Rule {
    Rule { name: name.into(), when, terms: terms(Role::Operator) }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn pattern(expression: &str, within: Within) -> Option<Pattern> {
    Some(Pattern { regex: Regex::new(expression).expect("an expression"), within })
}

/// The rule that this request meets, and how often its body was read.
fn met(rules: Vec<Rule>, body: &Value) -> (Option<String>, u32) {
    let reads = Cell::new(0);
    let found = {
        let asker = Asker {
            org: Some("acme"),
            key: "alice",
            any_model: &|fits| ["fast", "gpt-5-mini"].into_iter().any(fits),
            tag: &|name| (name == "tier").then(|| "batch".to_owned()),
            cost: &|| Some(Usd::from_picos(50)),
            content: &|| {
                reads.set(reads.get() + 1);
                Ok(Content::of(body.as_object().expect("an object")))
            },
        };
        let rules = Rules::new(rules).expect("some");
        rules.find(&asker).expect("readable").map(|rule| rule.name.to_string())
    };
    (found, reads.get())
}

#[test]
fn all_conditions_of_a_rule_must_apply() {
    let transfer = json!({
        "messages": [{"role": "user", "content": "Send it to DE89 3704"}],
        "tools": [{"type": "function", "function": {"name": "transfer_money"}}],
    });
    let fits = |when: When| met(vec![rule("r", when)], &transfer).0.is_some();
    let all = When {
        models: names(&["gpt-*"]),
        tools: names(&["transfer_*"]),
        pattern: pattern(r"\bDE\d\d", Within::Newest),
        min_cost: Some(Usd::from_picos(50)),
        tags: vec![("tier".to_owned(), "batch".to_owned())],
        orgs: names(&["other", "acme"]),
        keys: names(&["alice"]),
    };
    assert!(fits(When::default()), "without conditions it is for all");
    assert!(fits(all.clone()));
    for (missed, when) in [
        ("models", When { models: names(&["gpt", "claude-*"]), ..all.clone() }),
        ("tools", When { tools: names(&["transfer"]), ..all.clone() }),
        ("pattern", When { pattern: pattern("FR", Within::All), ..all.clone() }),
        ("cost", When { min_cost: Some(Usd::from_picos(51)), ..all.clone() }),
        ("tags", When { tags: vec![("tier".to_owned(), "live".to_owned())], ..all.clone() }),
        ("orgs", When { orgs: names(&["other"]), ..all.clone() }),
        ("keys", When { keys: names(&["bob"]), ..all }),
    ] {
        assert!(!fits(when), "{missed}");
    }
}

#[test]
fn a_body_is_read_once_and_only_where_a_rule_asks_for_it() {
    let body = json!({"messages": [{"role": "user", "content": "hello"}]});
    let by_model = |model: &str| When { models: names(&[model]), ..When::default() };
    assert_eq!(met(vec![rule("a", by_model("claude-*")), rule("b", by_model("o3"))], &body), (None, 0));
    assert_eq!(met(vec![rule("a", by_model("fast"))], &body), (Some("a".to_owned()), 0), "the name that is asked for");
    let inside = |expression| When { pattern: pattern(expression, Within::All), ..When::default() };
    let elsewhere = When { keys: names(&["bob"]), ..inside("hello") };
    let rules = vec![rule("a", elsewhere), rule("b", inside("bye")), rule("c", inside("hel+o"))];
    assert_eq!(met(rules, &body), (Some("c".to_owned()), 1));
}

#[test]
fn what_was_said_before_counts_where_the_rule_says_so() {
    let body = json!({"messages": [
        {"role": "user", "content": "my secret"}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "thanks"},
    ]});
    let within = |within| When { pattern: pattern("secret", within), ..When::default() };
    assert_eq!(met(vec![rule("r", within(Within::Newest))], &body).0, None);
    assert_eq!(met(vec![rule("r", within(Within::All))], &body).0.as_deref(), Some("r"));
}

#[test]
fn what_cannot_be_read_is_held_by_every_rule_that_reads() {
    let rules = vec![rule("r", When { pattern: pattern("secret", Within::Newest), ..When::default() })];
    assert_eq!(met(rules, &json!({"prompt": [[1, 2, 3]]})).0.as_deref(), Some("r"));
}

#[test]
fn of_several_rules_the_one_that_needs_the_highest_role_counts() {
    let mut admins = rule("admins", When::default());
    admins.terms = terms(Role::Admin);
    let rules = vec![rule("first", When::default()), admins, rule("last", When::default())];
    assert_eq!(met(rules.clone(), &json!({})).0.as_deref(), Some("admins"));
    let [first, _, last] = <[Rule; 3]>::try_from(rules).expect("three");
    assert_eq!(met(vec![first, last], &json!({})).0.as_deref(), Some("first"));
}

#[test]
fn no_rule_of_a_tenants_own_pilots_hides_one_of_the_platforms() {
    let mut own = rule("own", When { tools: names(&["decoy"]), ..When::default() });
    own.terms = Terms { decided_by: DecidedBy::Caller, ..terms(Role::Admin) };
    let platforms = rule("platforms", When { models: names(&["fast"]), ..When::default() });
    let decoy = json!({"tools": [{"type": "function", "function": {"name": "decoy"}}]});
    assert_eq!(met(vec![own.clone(), platforms], &decoy).0.as_deref(), Some("platforms"));
    assert_eq!(met(vec![own], &decoy).0.as_deref(), Some("own"));
}
