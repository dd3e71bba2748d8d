//! Texts that are cut within characters, and what their readers get.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

/// What a reader of whole characters gets of these chunks.
fn join_all<'c>(chunks: impl IntoIterator<Item = &'c str>) -> Vec<Value> {
    let mut halves = Halves::default();
    let join = |chunk: &str| {
        let joined = halves.join(chunk.as_bytes());
        serde_json::from_str(joined.as_deref().map_or(chunk, RawValue::get)).expect("JSON")
    };
    chunks.into_iter().map(join).collect()
}

fn says(text: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#)
}

fn content(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

#[test]
fn a_character_that_was_cut_comes_whole_with_its_second_half() {
    let got = join_all([&*says(r"ok \ud83d"), &says(""), r#"{"choices":[]}"#, &says(r"\uDE00!"), STOP]);
    assert_eq!(got[0]["choices"][0]["delta"]["content"], "ok ");
    assert_eq!(got[3]["choices"][0]["delta"]["content"], "😀!");
    assert_eq!(got[4], serde_json::from_str::<Value>(STOP).expect("JSON"));
}

#[test]
fn a_half_without_its_partner_is_replaced() {
    assert_eq!(content(&join_all([&*says(r"a\ud83d"), &says("b"), STOP])), "a\u{fffd}b");
    assert_eq!(content(&join_all([&*says(r"a\ud83d"), STOP])), "a\u{fffd}", "with the answer's end");
    assert_eq!(content(&join_all([&*says(r"\ude00a\ud83db"), STOP])), "\u{fffd}a\u{fffd}b");
}

#[test]
fn each_text_waits_for_its_own_half() {
    let call = |index: u64, arguments: &str| {
        format!(
            r#"{{"choices":[{{"index":1,"delta":{{"tool_calls":[{{"index":{index},"function":{{"arguments":"{arguments}"}}}}]}}}}]}}"#
        )
    };
    let thinks = r#"{"choices":[{"index":0,"delta":{"reasoning":"\ud83d"}},{"index":1,"text":"\ud83d"}]}"#;
    let rest = r#"{"choices":[{"index":0,"delta":{"reasoning":"\ude00"}},{"index":1,"text":"\ude00"}]}"#;
    let chunks = [&*call(0, r"\ud83d"), &call(1, r"\ud83d"), thinks, &call(1, r"\ude01"), &call(0, r"\ude00"), rest];
    let got = join_all(chunks);
    let arguments = |chunk: &Value| chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].clone();
    assert_eq!([&got[0], &got[1], &got[3], &got[4]].map(arguments), ["", "", "😁", "😀"].map(|text| json!(text)));
    let choices = &got[5]["choices"];
    assert_eq!((&choices[0]["delta"]["reasoning"], &choices[1]["text"]), (&json!("😀"), &json!("😀")));
}

#[test]
fn what_is_whole_is_left_as_it_is() {
    let mut halves = Halves::default();
    for chunk in [&*says(r#"\ud83d\ude00 \\ud83d \"\n"#), STOP, "[DONE]", "{\"cho", r"\ud8"] {
        assert!(halves.join(chunk.as_bytes()).is_none(), "{chunk}");
        assert!(matches!(mended(chunk.as_bytes()), Cow::Borrowed(_)), "{chunk}");
    }
    assert_eq!(*mended(br#"{"a":"\ud83d","b":["\udE00"]}"#), *br#"{"a":"\ufffd","b":["\ufffd"]}"#);
}

proptest! {
    #[test]
    fn however_it_is_cut_the_text_arrives_whole(
        text in prop_oneof![any::<String>(), "[a😀\"\\\\\n]{0,20}"],
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let units: Vec<u16> = text.encode_utf16().collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (units.len() + 1)).collect();
        cuts.extend([0, units.len()]);
        cuts.sort_unstable();
        let escaped = |units: &[u16]| units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
        let chunks: Vec<String> = cuts.windows(2).map(|pair| says(&escaped(&units[pair[0]..pair[1]]))).collect();
        let got = join_all(chunks.iter().map(String::as_str).chain([STOP]));
        prop_assert_eq!(content(&got), text);
    }

    #[test]
    fn no_units_arrive_as_anything_but_text(
        units in prop::collection::vec(prop_oneof![any::<u16>(), 0xd800u16..=0xdfff], 0..20),
        cut in any::<usize>(),
    ) {
        let (first, second) = units.split_at(cut % (units.len() + 1));
        let escaped = |units: &[u16]| units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
        let got = join_all([&*says(&escaped(first)), &says(&escaped(second)), STOP]);
        prop_assert_eq!(content(&got), String::from_utf16_lossy(&units));
    }

    #[test]
    fn no_chunk_makes_it_panic(chunk in "[{}\\[\\]\",:a-z\\\\ud8 0-9]{0,60}") {
        let mut halves = Halves::default();
        halves.join(says(r"\ud83d").as_bytes());
        halves.join(chunk.as_bytes());
        mended(chunk.as_bytes());
    }
}
