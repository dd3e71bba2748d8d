//! Which answers are kept, and for how long.

use super::{BODY, ON, PATH, STREAM, ask, caching, counted, text, used};
use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, answer, chunk, completion, error, stream_head, whole_stream};

#[tokio::test]
async fn a_request_says_whether_it_wants_the_cache() {
    let fake = Fake::start(|number| vec![completion(&format!("answer {number}"))]).await;
    let app = caching(&fake).await;
    let with = async |name: &'static str, value: &'static str| {
        let got = Answer::of(app.post(PATH, BODY).header(name, value)).await;
        let said = got.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        (got.header("x-vx11-cache").to_owned(), said)
    };
    let expect = |outcome: &str, said: &str| (outcome.to_owned(), said.to_owned());
    assert_eq!(with("cache-control", "no-store").await, expect("bypass", "answer 0"));
    assert_eq!(with("x-vx11-cache", "off").await, expect("bypass", "answer 1"));
    assert_eq!(with("x-vx11-cache", "on").await, expect("miss", "answer 2"));
    assert_eq!(with("accept", "*/*").await, expect("hit", "answer 2"));
    assert_eq!(with("cache-control", "no-cache").await, expect("miss", "answer 3"));
    assert_eq!(with("cache-control", "max-age=600").await, expect("hit", "answer 3"));
    assert_eq!(with("cache-control", "max-age=0").await, expect("miss", "answer 4"));
    assert_eq!(with("cache-control", "no-store").await, expect("bypass", "answer 5"));
    assert_eq!(with("accept", "*/*").await, expect("hit", "answer 4"));
    assert_eq!(counted(&app, "bypass").await, 3.0);
    let odd = Answer::of(app.post(PATH, BODY).header("x-vx11-cache", "maybe")).await;
    assert_eq!(odd.status, 400);
    let acting = BODY.replace("]}", r#"],"tools":[{"type":"web_search"}]}"#);
    for _ in 0..2 {
        assert_eq!(used(&Answer::of(app.post(PATH, acting.clone())).await), (200, "bypass"));
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time_and_within_the_bytes() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[ON, ("VX11_SWITCH__CACHE__TTL", "50ms")]).await;
    ask(&app, BODY).await;
    eventually("it is asked anew", async || used(&ask(&app, BODY).await) == (200, "miss")).await;
    let bounds = [ON, ("VX11_SWITCH__CACHE__MAX_BYTES", "4000"), ("VX11_SWITCH__CACHE__MAX_ANSWER_BYTES", "1000")];
    let app = App::in_front_of(&[&fake.url], &bounds).await;
    for number in 0..40 {
        let body = BODY.replace("hello", &number.to_string());
        assert_eq!(used(&Answer::of(app.post(PATH, body)).await), (200, "miss"));
    }
    let (entries, bytes) = (app.metric("vx11_cache_entries").await, app.metric("vx11_cache_bytes").await);
    assert!(entries >= 1.0 && bytes <= 4000.0, "{entries} entries of {bytes} bytes");
    let long = Fake::always([completion(&"x".repeat(2000))]).await;
    let app = App::in_front_of(&[&long.url], &bounds).await;
    for _ in 0..2 {
        assert_eq!(used(&ask(&app, BODY).await), (200, "miss"), "too long to be kept");
    }
}

#[tokio::test]
async fn only_whole_answers_of_the_first_choice_are_kept() {
    let filtered = answer(200, "", r#"{"choices":[{"message":{"content":"a"},"finish_reason":"content_filter"}]}"#);
    let cut = vec![stream_head(), chunk("Hel"), Act::Reset];
    for (body, acts) in
        [(BODY, vec![error(500, "")]), (BODY, vec![error(400, "")]), (BODY, vec![filtered]), (STREAM, cut)]
    {
        let fake = Fake::always(acts).await;
        let app = caching(&fake).await;
        for calls in 1..=2 {
            let got = ask(&app, body).await;
            assert_eq!(got.header("x-vx11-cache").replace("miss", ""), "", "{}", got.body);
            assert_eq!(fake.requests().len(), calls, "{}", got.body);
        }
        assert_eq!(app.metric("vx11_cache_entries").await, 0.0);
    }
    let (bad, good) = (Fake::always([error(500, "")]).await, Fake::always([completion("spare")]).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[ON]).await;
    for calls in 1..=2 {
        assert_eq!(used(&ask(&app, BODY).await), (200, "miss"));
        assert_eq!(good.requests().len(), calls, "a stand-in's answer is not kept");
    }
    let broken = Fake::always([stream_head(), chunk("Hel"), Act::Reset]).await;
    let whole = Fake::always(whole_stream()).await;
    let app = App::in_front_of(&[&broken.url, &whole.url], &[ON]).await;
    for calls in 1..=2 {
        assert_eq!(text(&ask(&app, STREAM).await), "Hello");
        assert_eq!(whole.requests().len(), calls, "nor is what two have written");
    }
}
