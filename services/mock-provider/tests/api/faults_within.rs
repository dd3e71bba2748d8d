//! Faults within an answer.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mock::{Mock, saying, with};

/// Asks for a stream of nine tokens with these faults, and reads until it ends or breaks.
async fn stream(mock: &Mock, faults: &str) -> (String, bool) {
    let fields = with(saying("echo: a b c d e f g h i"), json!({ "model": format!("mock+{faults}"), "stream": true }));
    let mut response = mock.completion(&fields).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut text = String::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
            Ok(None) => return (text, true),
            Err(_) => return (text, false),
        }
    }
}

fn tokens(text: &str) -> String {
    let events = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    let json = events.filter_map(|event| serde_json::from_str::<Value>(event).ok());
    json.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_cut_closes_the_connection_after_its_tokens() {
    let mock = Mock::start().await;
    for (n, sent) in [(0, ""), (1, "a"), (3, "a b c"), (9, "a b c d e f g h i")] {
        let (text, is_whole) = stream(&mock, &format!("cut={n}")).await;
        assert_eq!((tokens(&text).as_str(), is_whole), (sent, false));
        assert!(!text.contains("[DONE]"));
        let last = mock.last().await;
        assert_eq!((&last["outcome"], &last["tokens_sent"]), (&json!("cut"), &json!(n)));
    }
    let (text, is_whole) = stream(&mock, "cut=10").await;
    assert!(is_whole && text.ends_with("data: [DONE]\n\n"), "there is no tenth token");
}

#[tokio::test]
async fn a_stall_says_nothing_more_after_its_tokens() {
    let mock = Mock::start().await;
    let fields = with(saying("echo: a b c d e"), json!({ "model": "mock+stall=3", "stream": true }));
    let mut response = mock.completion(&fields).send().await.unwrap();
    let mut text = String::new();
    while !text.contains(" c") {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().expect("more")).unwrap());
    }
    assert_eq!(tokens(&text), "a b c");
    // Silence cannot be waited for; that nothing else was written shows once the caller has gone.
    drop(response);
    mock.wait_for_outcome("client_disconnected").await;
    assert_eq!(mock.last().await["tokens_sent"], 3);
}

#[tokio::test]
async fn stopping_breaks_off_what_stalls() {
    let mock = Mock::start().await;
    let fields = json!({ "model": "mock+stall=0", "stream": true });
    let mut streamed = mock.completion(&fields).send().await.unwrap();
    let whole = mock.completion(&json!({ "model": "mock+stall=1" })).send().await.unwrap();
    mock.shut_down();
    assert!(streamed.chunk().await.is_err(), "it does not end as if it were whole");
    assert!(whole.text().await.is_err());
    mock.stopped().await;
}

#[tokio::test]
async fn a_garbled_stream_says_nothing_more_that_can_be_read() {
    let mock = Mock::start().await;
    let (text, is_whole) = stream(&mock, "garbled=3").await;
    assert_eq!((tokens(&text).as_str(), is_whole), ("a b c", true));
    assert!(text.matches("chatcmpl-broken").count() > 5 && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(mock.last().await["outcome"], "malformed");
}

#[tokio::test]
async fn a_malformed_chunk_comes_once_among_good_ones() {
    let mock = Mock::start().await;
    for n in [0, 2, 9] {
        let (text, is_whole) = stream(&mock, &format!("malformed={n}")).await;
        let events: Vec<_> = text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
        let broken = events.iter().filter(|event| **event != "[DONE]" && serde_json::from_str::<Value>(event).is_err());
        assert_eq!((broken.count(), is_whole), (1, true), "{n}: {text}");
        assert_eq!(tokens(&text), "a b c d e f g h i");
        assert_eq!(mock.last().await["outcome"], "malformed");
    }
}

#[tokio::test]
async fn an_error_frame_ends_the_stream() {
    let mock = Mock::start().await;
    let (text, is_whole) = stream(&mock, "error_frame=2").await;
    assert_eq!((tokens(&text).as_str(), is_whole), ("a b", true));
    let last: Value = serde_json::from_str(text.trim_end().rsplit("data: ").next().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "mock_fault");
    assert!(!text.contains("[DONE]"));
    assert_eq!(mock.last().await["outcome"], "error");
}

#[tokio::test]
async fn the_end_mark_can_be_left_out() {
    let mock = Mock::start().await;
    let (text, is_whole) = stream(&mock, "no_done").await;
    assert_eq!((tokens(&text).as_str(), is_whole), ("a b c d e f g h i", true));
    assert!(text.contains(r#""finish_reason":"stop""#) && !text.contains("[DONE]"));
}

#[tokio::test]
async fn a_drip_waits_before_every_token() {
    let mock = Mock::start().await;
    for stream in [true, false] {
        let begun = Instant::now();
        let fields = with(saying("echo: a b c d"), json!({ "model": "mock+drip=30ms", "stream": stream }));
        assert_eq!(mock.chat(fields).await.status, 200);
        assert!(begun.elapsed() >= Duration::from_millis(120), "stream {stream}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn each_token_of_a_drip_is_sent_as_it_comes() {
    let mock = Mock::start().await;
    let fields = with(saying("echo: a b c d"), json!({ "model": "mock+drip=30ms", "stream": true }));
    let mut response = mock.completion(&fields).send().await.unwrap();
    let mut pieces = 0;
    while response.chunk().await.unwrap().is_some() {
        pieces += 1;
    }
    assert!(pieces >= 4, "{pieces} pieces");
}

#[tokio::test]
async fn a_whole_answer_breaks_in_its_middle() {
    let mock = Mock::start().await;
    for faults in ["truncate", "cut=1"] {
        let (text, _) = mock.raw(&json!({ "model": format!("mock+{faults}") })).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length: usize =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && !body.is_empty() && body.len() < length, "{faults}: {text}");
        assert_eq!(mock.last().await["outcome"], "cut");
    }
    let broken = mock.faulty("malformed=1").await;
    assert_eq!(broken.status, 200);
    assert!(serde_json::from_str::<Value>(&broken.body).is_err() && !broken.body.is_empty());
    assert_eq!(mock.last().await["outcome"], "malformed");
    let mut stalled = mock.completion(&json!({ "model": "mock+stall=1" })).send().await.unwrap();
    stalled.chunk().await.unwrap().expect("the first half");
    drop(stalled);
    mock.wait_for_outcome("client_disconnected").await;
}

#[tokio::test]
async fn a_stream_may_be_opened_before_it_goes_wrong() {
    let mock = Mock::start().await;
    let (text, is_whole) = stream(&mock, "opened,cut=0").await;
    assert_eq!((tokens(&text).as_str(), text.matches("data: ").count(), is_whole), ("", 1, false), "{text}");
    assert!(text.contains(r#""role":"assistant""#), "{text}");
    let (text, is_whole) = stream(&mock, "opened,error_frame=0,frame_status=429").await;
    assert_eq!((tokens(&text).as_str(), text.matches("data: ").count(), is_whole), ("", 2, true), "{text}");
    assert!(text.contains(r#""type":"rate_limit_error""#), "{text}");

    let fields = with(saying("echo: a b"), json!({ "model": "mock+opened,first_token=1m", "stream": true }));
    let mut response = mock.completion(&fields).send().await.unwrap();
    let first = response.chunk().await.unwrap().expect("it is opened");
    assert!(std::str::from_utf8(&first).unwrap().contains(r#""role":"assistant""#));
}
