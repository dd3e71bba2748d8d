use vx11_contracts::chat::Usage;

use super::*;
use crate::accounts::Tokens;

#[test]
fn an_answer_is_described_in_the_words_of_either_wire() {
    let of = |data: &str| {
        let Description { model, id, finish_reasons } = describe(data.as_bytes());
        (model.unwrap_or_default(), id.unwrap_or_default(), finish_reasons.join(","))
    };
    for (data, model, id, reasons) in [
        (
            r#"{"id":"c","model":"m","choices":[{"finish_reason":"stop","stop_reason":7},{"finish_reason":"length"}]}"#,
            "m",
            "c",
            "stop,length",
        ),
        (r#"{"id":"c","choices":[{"finish_reason":null},{"finish_reason":""}]}"#, "", "c", ""),
        (r#"{"type":"message","id":"msg_1","model":"claude","stop_reason":"end_turn"}"#, "claude", "msg_1", "end_turn"),
        (r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{}}"#, "", "", "tool_use"),
        ("[DONE]", "", "", ""),
    ] {
        assert_eq!(of(data), (model.to_owned(), id.to_owned(), reasons.to_owned()), "{data}");
    }
}

#[test]
fn a_reply_may_be_empty_and_reasoning_is_kept() {
    let body = br#"{"model": "r1", "choices": [{"message": {"content": null, "reasoning_content": "hm"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": null}}"#;
    let read = reply(body).expect("a completion");
    let expected = Reply { content: String::new(), reasoning: Some("hm".to_owned()), model: Some("r1".to_owned()) };
    assert_eq!(read.answer, expected);
    let usage = read.usage.map(|reported| reported.usage);
    assert_eq!(usage, Some(Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }));
}

#[test]
fn details_of_usage_are_read_under_either_name() {
    let of = |usage: &str| {
        let body = format!(r#"{{"choices": [{{}}], "usage": {usage}}}"#);
        check(body.as_bytes()).expect("a completion").usage.expect("reported").tokens
    };
    let openai = r#"{"prompt_tokens": 9, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 0}}"#;
    assert_eq!(of(openai), Tokens { prompt: 9, cached: 5, completion: 8, reasoning: 6, ..Tokens::default() });
    let deepseek =
        r#"{"prompt_tokens": 9, "completion_tokens": 8, "prompt_cache_hit_tokens": 5, "prompt_tokens_details": null}"#;
    assert_eq!(of(deepseek), Tokens { prompt: 9, cached: 5, completion: 8, ..Tokens::default() });
    for name in ["cache_creation_tokens", "cache_write_tokens"] {
        let written = format!(r#"{{"prompt_tokens": 9, "prompt_tokens_details": {{"{name}": 4}}}}"#);
        assert_eq!(of(&written), Tokens { prompt: 9, cache_written: 4, ..Tokens::default() });
    }
}

#[test]
fn an_answer_says_at_which_tier_it_was_served() {
    let tier = |more: &str, usage: &str| {
        let body =
            format!(r#"{{"choices":[{{"message":{{"content":"x"}}}}],{more}"usage":{{"prompt_tokens":3{usage}}}}}"#);
        let (checked, read) = (check(body.as_bytes()), reply(body.as_bytes()));
        let tiers = (checked.expect("checked").usage, read.expect("read").usage);
        assert_eq!(tiers.0, tiers.1);
        tiers.0.expect("reported").tokens.tier
    };
    assert_eq!(tier(r#""service_tier":"priority","#, ""), Tier::Priority);
    assert_eq!(tier(r#""service_tier":"flex","#, ""), Tier::Flex);
    assert_eq!(tier(r#""service_tier":"default","#, ""), Tier::Standard);
    assert_eq!(tier(r#""service_tier":null,"#, r#","speed":"fast""#), Tier::Priority);
    assert_eq!(tier("", r#","speed":"standard""#), Tier::Standard);
}

#[test]
fn reasoning_that_only_the_total_counts_was_written_too() {
    let of = |usage: &str| {
        let body = format!(r#"{{"choices": [{{}}], "usage": {usage}}}"#);
        let Reported { usage, tokens, .. } = check(body.as_bytes()).expect("a completion").usage.expect("reported");
        (usage.completion_tokens, tokens.completion, tokens.reasoning, usage.total_tokens)
    };
    let xai = r#"{"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 399,
        "completion_tokens_details": {"reasoning_tokens": 386}}"#;
    assert_eq!(of(xai), (387, 387, 386, 399));
    let google = r#"{"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}"#;
    assert_eq!(of(google), (603, 603, 0, 623));
    let openai = r#"{"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17,
        "completion_tokens_details": {"reasoning_tokens": 6}}"#;
    assert_eq!(of(openai), (8, 8, 6, 17));
    let heard = r#"{"prompt_tokens": 4, "completion_tokens": 635, "total_tokens": 3264, "prompt_audio_seconds": 203}"#;
    assert_eq!(of(heard), (635, 635, 0, 3264), "what was heard is not written");
    let less = r#"{"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 3}"#;
    assert_eq!(of(less), (8, 8, 0, 3));
}

#[test]
fn what_is_written_is_counted_where_nobody_says() {
    let body = br#"{"choices": [{"message": {"content": "one two three", "reasoning_content": "four"}}, {"message": {"content": null}}]}"#;
    assert_eq!(written(body), 4);
    assert_eq!(written(br#"{"choices": [{"text": "one two"}]}"#), 2);
    assert!(
        written(br#"{"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}]}"#) > 4
    );
    assert_eq!([written(b"<html>"), written(b"{}")], [0, 0]);
}

#[test]
fn an_empty_usage_is_none_and_noughts_are_one() {
    let usage = |usage: &str| {
        let body = format!(r#"{{"choices": [{{}}], "usage": {usage}}}"#);
        check(body.as_bytes()).expect("a completion").usage.map(|reported| reported.tokens)
    };
    assert_eq!((usage("{}"), usage("null"), usage(r#"{"total_tokens": null}"#)), (None, None, None));
    assert_eq!(usage(r#"{"prompt_tokens": 0, "completion_tokens": 0}"#), Some(Tokens::default()));
}

#[test]
fn what_the_provider_gave_up_is_told_from_what_ended() {
    for (reason, is_given_up) in [("stop", false), ("length", false), ("insufficient_system_resource", true)] {
        let body = format!(
            r#"{{"choices": [{{"finish_reason": "{reason}", "message": {{"content": "x"}}}}], "usage": {{"prompt_tokens": 3}}}}"#
        );
        let (checked, read) = (check(body.as_bytes()), reply(body.as_bytes()));
        assert_eq!(checked.map(|read| (read.is_given_up, read.usage.is_some())), Some((is_given_up, true)));
        assert_eq!(read.map(|read| read.is_given_up), Some(is_given_up), "{reason}");
    }
}

#[test]
fn what_is_off_the_schema_is_no_answer() {
    for body in ["", "<html>", "{}", r#"{"choices": []}"#, r#"{"choices": "x"}"#, r#"{"choices": [{"message"#] {
        assert!(check(body.as_bytes()).is_none(), "{body}");
        assert!(reply(body.as_bytes()).is_none(), "{body}");
    }
    let no_message = br#"{"choices": [{"text": "an older API"}]}"#;
    assert!(check(no_message).is_some() && reply(no_message).is_none());
}
