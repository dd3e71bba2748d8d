use std::time::Duration;

use super::*;

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    count: u32,
    chat: Chat,
    #[serde(skip_serializing)]
    api_key: Option<SecretString>,
}

#[derive(Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Chat {
    limit: u32,
    burst: u32,
    #[serde(with = "humantime_serde")]
    window: Duration,
    names: Vec<String>,
    place: Option<String>,
}

impl Default for Section {
    fn default() -> Self {
        let window = Duration::from_millis(90_500);
        let chat = Chat { limit: 1, burst: 50, window, names: vec!["a".to_owned(), "b".to_owned()], place: None };
        Self { count: 3, chat, api_key: None }
    }
}

fn load(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    Settings::load(None, variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

#[test]
fn variables_reach_nested_fields_over_defaults() {
    let settings = load(&[("VX11_OPERATOR__CHAT__LIMIT", "7"), ("HOME", "/")]).expect("loads");
    let section: Section = settings.section("operator").expect("typed");
    assert_eq!((section.count, section.chat.limit), (3, 7));
    assert_eq!(settings.section::<Section>("madre").expect("defaults").chat, Section::default().chat);
}

#[test]
fn a_table_that_is_set_in_part_keeps_the_sections_defaults_for_the_rest() {
    let settings = load(&[
        ("VX11_OPERATOR__CHAT__LIMIT", "7"),
        ("VX11_OPERATOR__CHAT__NAMES", "[\"c\"]"),
        ("VX11_OPERATOR__API_KEY", "12345"),
    ]);
    let section: Section = settings.expect("loads").section("operator").expect("typed");
    let names = vec!["c".to_owned()];
    assert_eq!(section.chat, Chat { limit: 7, names, ..Section::default().chat });
    assert_eq!(section.api_key.expect("set").expose_secret(), "12345");
}

#[test]
fn a_token_of_digits_is_text_and_either_name_sets_it() {
    for name in ["VX11_TOKEN", "VX11_TENTACULO_LINK_TOKEN"] {
        let common = load(&[(name, "12345")]).expect("loads").common().expect("typed");
        assert_eq!(common.token.expect("set").expose_secret(), "12345");
    }
}

#[test]
fn an_empty_token_never_counts() {
    let common = load(&[("VX11_TOKEN", ""), ("VX11_TENTACULO_LINK_TOKEN", "real")]).expect("loads").common();
    assert_eq!(common.expect("typed").token.expect("set").expose_secret(), "real");
    assert!(load(&[("VX11_TOKEN", "")]).expect("loads").common().expect("typed").token.is_none());
    for (name, content) in [("empty", "\n"), ("spaced", "two words")] {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(name);
        std::fs::write(&file, content).expect("written");
        let settings = load(&[("VX11_TOKEN_FILE", file.to_str().expect("UTF-8"))]).expect("loads");
        assert!(settings.common().is_err(), "{name}");
    }
}

#[test]
fn a_client_is_given_some_time() {
    for (limit, is_fine) in [("0s", false), ("0ms", false), ("1ms", true), ("30days", true)] {
        let common = load(&[("VX11_HTTP__SEND_TIMEOUT", limit)]).expect("loads").common();
        assert_eq!(common.is_ok(), is_fine, "{limit}");
    }
}

#[test]
fn a_secrets_file_that_cannot_be_read_stops_the_start() {
    let refused = load(&[("VX11_TOKEN_FILE", "/no/such/file")]).expect("loads").common().expect_err("refused");
    assert!(refused.to_string().starts_with("VX11_TOKEN_FILE: cannot read /no/such/file"), "{refused}");
}

#[test]
fn a_mistyped_secret_is_not_repeated() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("vx11.toml");
    std::fs::write(&file, "token = 123456789").expect("written");
    let settings = Settings::load(Some(&file), []).expect("loads");
    let expected =
        |field: &str, line: u32| format!("{field}: must be text in quotes, in {}, line {line}", file.display());
    assert_eq!(settings.common().expect_err("refused").to_string(), expected("token", 1));
    std::fs::write(&file, "[operator]\napi_key = 123456789").expect("written");
    let settings = Settings::load(Some(&file), []).expect("loads");
    let error = settings.section::<Section>("operator").expect_err("refused").to_string();
    assert_eq!(error, expected("operator.api_key", 2));
}

#[test]
fn a_mistake_in_the_file_is_shown_with_its_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("vx11.toml");
    for (text, variables, expected) in [
        ("[operator]\n\ncount = \"many\"", &[][..], ", line 3"),
        ("[operator]\n[operator.chat]\nlimti = 1", &[], ", line 3"),
        ("[operator]\n\ncount = 1", &[("VX11_OPERATOR__COUNT", "many")], "in the variable VX11_OPERATOR__COUNT"),
    ] {
        std::fs::write(&file, text).expect("written");
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let settings = Settings::load(Some(&file), variables).expect("loads");
        let error = settings.section::<Section>("operator").expect_err("a mistake").to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn mistakes_are_named() {
    let unknown_field = load(&[("VX11_OPERATOR__CONT", "1")]).expect("loads").section::<Section>("operator");
    assert!(unknown_field.expect_err("unknown field").to_string().contains("cont"));
    let wrong_type = load(&[("VX11_OPERATOR__COUNT", "many")]).expect("loads").section::<Section>("operator");
    let wrong_type = wrong_type.expect_err("wrong type").to_string();
    assert!(wrong_type.contains("count") && wrong_type.contains("VX11_OPERATOR__COUNT"), "{wrong_type}");
    assert!(load(&[("VX11_OPERATR__COUNT", "1")]).expect_err("unknown section").to_string().contains("operatr"));
    assert!(load(&[("VX11_SWITCH_PORT", "tcp://10.0.0.1:8002")]).is_ok(), "set by Kubernetes, not by us");
}

#[test]
fn retention_is_set_by_table() {
    let common = load(&[("VX11_RETENTION_PERFORMANCE_LOGS_DAYS", "3")]).expect("loads").common().expect("typed");
    assert_eq!(common.retention_days.get("performance_logs"), Some(&3));
}

#[test]
fn retention_of_no_table_or_of_no_day_is_refused() {
    for (variable, days, expected) in [
        ("VX11_RETENTION_TURN_DAYS", "30", "retention_days.turn: there is no such table; the tables are copilot_"),
        ("VX11_RETENTION_TURNS_DAYS", "0", "retention_days.turns: must be 1 day or more"),
    ] {
        let refused = load(&[(variable, days)]).expect("loads").common().expect_err("refused").to_string();
        assert!(refused.starts_with(expected) && refused.ends_with(&format!("set by {variable}")), "{refused}");
    }
}
