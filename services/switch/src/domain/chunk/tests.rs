use proptest::prelude::*;

use super::*;

const TEXT: &[u8] = br#"{"id":"c","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}"#;
const STOP: &[u8] = br#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

#[test]
fn a_stream_is_complete_once_every_choice_has_finished() {
    let mut watch = StreamWatch::new(2);
    assert_eq!(watch.observe(TEXT, None), Ok(Seen::Chunk { token: true }));
    watch
        .observe(br#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":""}]}"#, None)
        .expect("well formed");
    assert!(!watch.is_complete());
    assert_eq!(watch.observe(STOP, None), Ok(Seen::Chunk { token: false }));
    assert!(!watch.is_complete(), "the second choice is missing");
    watch.observe(br#"{"choices":[{"index":1,"delta":{"content":"Ho"}}]}"#, None).expect("well formed");
    watch.observe(br#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#, None).expect("well formed");
    assert!(watch.is_complete());
    assert_eq!(watch.tokens_written(), 2, "counted by deltas");
}

#[test]
fn reported_usage_is_the_truth() {
    let mut watch = StreamWatch::new(1);
    watch.observe(TEXT, None).expect("well formed");
    let usage = br#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9,"total_tokens":14}}"#;
    assert_eq!(watch.observe(usage, None), Ok(Seen::Chunk { token: false }));
    assert_eq!((watch.tokens_written(), watch.usage().map(|reported| reported.usage.total_tokens)), (9, Some(14)));
}

#[test]
fn a_stream_may_say_its_tier_before_what_it_spent() {
    let mut watch = StreamWatch::new(1);
    watch.observe(br#"{"choices":[],"service_tier":"flex"}"#, None).expect("well formed");
    watch.observe(br#"{"choices":[],"service_tier":null,"usage":{"prompt_tokens":5}}"#, None).expect("well formed");
    assert_eq!(watch.tokens().map(|tokens| tokens.tier), Some(Tier::Flex));
}

#[test]
fn what_opens_an_answer_says_nothing_of_it() {
    let says = |choice: &str| {
        let mut watch = StreamWatch::new(1);
        let chunk = format!(r#"{{"choices":[{{"index":0,{choice}}}]}}"#);
        watch.observe(chunk.as_bytes(), None).expect("well formed");
        watch.has_spoken()
    };
    for nothing in [r#""delta":{"role":"assistant","content":""}"#, r#""delta":{"refusal":null}"#, r#""text":null"#] {
        assert!(!says(nothing), "{nothing}");
    }
    for something in [
        r#""delta":{"content":" "}"#,
        r#""delta":{"reasoning":"\n"}"#,
        r#""delta":{"tool_calls":[{"index":0}]}"#,
        r#""delta":{"audio":{"id":"a"}}"#,
        r#""delta":{"images":[{"type":"image_url"}]}"#,
        r#""delta":{},"finish_reason":"stop""#,
        r#""text":"Hi""#,
    ] {
        assert!(says(something), "{something}");
    }
}

#[test]
fn an_answer_that_is_given_up_has_not_ended() {
    for reason in ["error", "insufficient_system_resource"] {
        let mut watch = StreamWatch::new(1);
        watch.observe(TEXT, None).expect("well formed");
        let end = format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
        assert_eq!(watch.observe(end.as_bytes(), None), Ok(Seen::GivenUp));
        assert!(!watch.is_complete() && watch.is_cut_short(), "{reason}");
    }
}

#[test]
fn a_server_may_answer_fewer_choices_than_were_asked_for() {
    let mut watch = StreamWatch::new(2);
    assert!(!watch.is_cut_short(), "none was begun");
    watch.observe(TEXT, None).expect("well formed");
    assert!(watch.is_cut_short());
    watch.observe(STOP, None).expect("well formed");
    assert!(!watch.is_cut_short() && !watch.is_complete());
}

#[test]
fn the_end_comments_and_faults_are_told_apart() {
    let mut watch = StreamWatch::new(1);
    assert_eq!(watch.observe(b"[DONE]", None), Ok(Seen::Done));
    assert_eq!(watch.observe(b"", None), Ok(Seen::Nothing));
    let tool = br#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#;
    assert_eq!(watch.observe(tool, None), Ok(Seen::Chunk { token: true }));
    let first = br#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
    assert_eq!(watch.observe(first, None), Ok(Seen::Chunk { token: false }));
    assert_eq!(watch.observe(br#"{"error":{"message":"overloaded"}}"#, None), Ok(Seen::Error));
    let faults: [&[u8]; 6] = [
        b"{\"choices\":[{\"del",
        b"[]",
        b"null",
        br#"{"choices":"none"}"#,
        br#"{"choices":[{"index":"first"}]}"#,
        b"{\"id\":\"\x80\",\"choices\":[]}",
    ];
    for fault in faults {
        assert_eq!(watch.observe(fault, None), Err(BadChunk), "{}", String::from_utf8_lossy(fault));
    }
    assert_eq!(watch.observe(br#"{"error":null,"choices":[]}"#, None), Ok(Seen::Chunk { token: false }));
}

/// Chunks around a text, as providers write them.
const FORMS: [&str; 9] = [
    r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":TEXT}}]}"#,
    r#"{"id":"c1","choices":[{"index":0,"delta":{"content":TEXT},"logprobs":null,"finish_reason":null}],"usage":null}"#,
    r#"{"choices":[{"delta":{"content":TEXT},"finish_reason":null,"index":0}],"id":"c1","service_tier":"flex"}"#,
    r#"{"choices":[{"delta":{"content":TEXT}}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#,
    r#"{"choices":[{"delta":{"content":TEXT},"logprobs":{"content":[{"token":TEXT}]}}]}"#,
    r#"{"choices":[{"index":3,"delta":{"content":TEXT,"reasoning_content":"so"}}]}"#,
    r#"{"choices":[{"delta":{"content":TEXT},"finish_reason":"stop"}]}"#,
    r#"{"choices":[{"index":0,"text":TEXT}]}"#,
    r#"{"choices":[{"index":0,"delta":{"content":TEXT}},{"index":1,"delta":{"content":TEXT}}]}"#,
];

proptest! {
    #[test]
    fn a_chunk_that_is_like_one_before_says_what_it_would_alone(
        chunks in prop::collection::vec((0..FORMS.len(), "[a-z \"\\\\\n{}é😀]{0,6}|TEXT", any::<bool>()), 1..20)
    ) {
        // One that expects several choices learns nothing.
        let (mut learning, mut other) = (StreamWatch::new(1), StreamWatch::new(2));
        let (mut delivered, mut others) = (Delivered::default(), Delivered::default());
        for (form, text, is_json) in chunks {
            let text = if is_json { serde_json::to_string(&text).expect("JSON") } else { format!("\"{text}\"") };
            let chunk = FORMS[form].replace("TEXT", &text);
            let seen = learning.observe(chunk.as_bytes(), Some(&mut delivered));
            prop_assert_eq!(seen, other.observe(chunk.as_bytes(), Some(&mut others)), "{}", chunk);
        }
        prop_assert_eq!(format!("{delivered:?}"), format!("{others:?}"));
        let state = |watch: &StreamWatch| (watch.begun, watch.finished, watch.tokens, watch.has_spoken, watch.usage, watch.tier);
        prop_assert_eq!(state(&learning), state(&other));
    }
}

#[test]
fn a_text_is_read_by_the_form_of_the_one_before() {
    let mut watch = StreamWatch::new(1);
    watch.observe(TEXT, None).expect("well formed");
    let text = std::str::from_utf8(TEXT).expect("text");
    let again = |said: &str| watch.alike.read(&text.replace("Hi", said)).map(|choices| choices.tokens);
    assert_eq!(again("Hi"), watch.alike.read(text).map(|choices| choices.tokens));
    assert!(again("one two").is_some() && again("").is_some());
    for other in ["\\n", "a\"b", "\n"] {
        assert_eq!(again(other), None, "{other:?}");
    }
}
