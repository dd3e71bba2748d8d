//! The client against servers of a few lines, which answer what a test wants, when it wants it.

mod peer;

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vx11_http_client::{Body, Client, Connector, Error, Request, Response};

use peer::Peer;

const PATIENCE: Duration = Duration::from_secs(20);
const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn client(peer: &Peer) -> Client {
    Client::new(Connector::plain(&peer.url(), PATIENCE).expect("an address"))
}

fn get(client: &Client) -> Request {
    client.request(Method::GET, PathAndQuery::from_static("/a?b=c"))
}

fn post(client: &Client) -> Request {
    client.request(Method::POST, PathAndQuery::from_static("/"))
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

async fn text(mut response: Response) -> Result<String, Error> {
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        text.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(text).expect("UTF-8"))
}

#[tokio::test]
async fn a_request_says_where_it_goes_and_who_asks() {
    let mut peer = Peer::start().await;
    let answer = tokio::spawn(get(&client(&peer)).send());
    let mut connection = peer.accept().await;
    let host = format!("host: {}", peer.url().authority());
    assert_eq!(
        connection.head().await,
        ["GET /a?b=c HTTP/1.1", &host, concat!("user-agent: vx11/", env!("CARGO_PKG_VERSION"))]
    );
    connection.say(HELLO).await;
    let answer = within(answer).await.expect("no panic").expect("answered");
    assert_eq!((answer.status(), answer.content_length()), (StatusCode::OK, Some(5)));
    assert_eq!(text(answer).await.expect("whole"), "hello");
}

#[tokio::test]
async fn a_connection_is_used_again_once_its_answer_was_read() {
    let mut peer = Peer::start().await;
    let client = client(&peer);
    let asked = async {
        for _ in 0..3 {
            assert_eq!(text(get(&client).send().await.expect("answered")).await.expect("whole"), "hello");
        }
    };
    let answered = async {
        let mut connection = peer.accept().await;
        for _ in 0..3 {
            connection.head().await;
            connection.say(HELLO).await;
        }
    };
    within(async { tokio::join!(asked, answered) }).await;
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let mut peer = Peer::start().await;
    let client = client(&peer);
    for _ in 0..3 {
        let answered = async {
            let mut connection = peer.accept().await;
            connection.head().await;
            connection.say(HELLO).await;
            connection.close().await;
        };
        let asked = async { text(get(&client).send().await.expect("answered")).await.expect("whole") };
        within(async { tokio::join!(asked, answered) }).await;
    }
    assert_eq!(peer.accepted(), 3);
}

#[tokio::test]
async fn a_connection_on_which_more_was_said_than_was_asked_is_replaced() {
    const UNASKED: &str = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n";
    let mut peer = Peer::start().await;
    let client = client(&peer);
    for _ in 0..2 {
        let answered = async {
            let mut connection = peer.accept().await;
            connection.head().await;
            connection.say(&format!("{HELLO}{UNASKED}")).await;
        };
        let asked = async { text(post(&client).send().await.expect("answered")).await.expect("whole") };
        let (said, ()) = within(async { tokio::join!(asked, answered) }).await;
        assert_eq!(said, "hello");
    }
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn chunks_come_as_they_are_sent() {
    let mut peer = Peer::start().await;
    let answer = tokio::spawn(get(&client(&peer)).send());
    let mut connection = peer.accept().await;
    connection.head().await;
    connection.say(CHUNKED).await;
    let mut answer = within(answer).await.expect("no panic").expect("answered");
    for word in ["one", "two"] {
        connection.say(&format!("3\r\n{word}\r\n")).await;
        assert_eq!(within(answer.chunk()).await.expect("a chunk"), Some(Bytes::from_static(word.as_bytes())));
    }
    connection.say("0\r\n\r\n").await;
    assert_eq!(within(answer.chunk()).await.expect("the end"), None);
}

#[tokio::test]
async fn a_long_stream_that_is_there_at_once_is_read_to_its_end() {
    const CHUNKS: usize = 20_000;
    let mut peer = Peer::start().await;
    let answer = tokio::spawn(get(&client(&peer)).send());
    let mut connection = peer.accept().await;
    connection.head().await;
    let said = tokio::spawn(async move {
        connection.say(CHUNKED).await;
        connection.say(&"1\r\nx\r\n".repeat(CHUNKS)).await;
        connection.say("0\r\n\r\n").await;
        connection
    });
    let answer = within(answer).await.expect("no panic").expect("answered");
    assert_eq!(within(text(answer)).await.expect("whole").len(), CHUNKS);
    said.await.expect("no panic");
}

#[tokio::test]
async fn an_answer_that_is_dropped_closes_its_connection() {
    let mut peer = Peer::start().await;
    let client = client(&peer);
    let answer = tokio::spawn(get(&client).send());
    let mut connection = peer.accept().await;
    connection.head().await;
    connection.say(CHUNKED).await;
    drop(within(answer).await.expect("no panic").expect("answered"));
    assert!(within(connection.is_closed()).await);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let mut peer = Peer::start().await;
    for said in ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", &format!("{CHUNKED}5\r\nhel"), "HTTP/1.1 200", ""]
    {
        let answer = tokio::spawn(get(&client(&peer)).send());
        let mut connection = peer.accept().await;
        connection.head().await;
        connection.say(said).await;
        connection.close().await;
        let error = match within(answer).await.expect("no panic") {
            Ok(answer) => within(text(answer)).await.expect_err("broken"),
            Err(error) => error,
        };
        assert!(matches!(error, Error::Broken(_)), "{said:?}: {error:?}");
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let peer = Peer::start().await;
    let client = client(&peer);
    drop(peer);
    assert!(get(&client).send().await.expect_err("nobody is there").is_connect());
}

#[tokio::test]
async fn a_body_streams_while_the_answer_is_waited_for() {
    let mut peer = Peer::start().await;
    let chunks = stream::iter(["one", "two"].map(|word| Ok::<_, Error>(Bytes::from_static(word.as_bytes()))));
    let answer = tokio::spawn(post(&client(&peer)).body(Body::stream(chunks)).send());
    let mut connection = peer.accept().await;
    assert!(connection.head().await.contains(&"transfer-encoding: chunked".to_owned()));
    connection.hear("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n").await;
    connection.say(HELLO).await;
    assert_eq!(text(within(answer).await.expect("no panic").expect("answered")).await.expect("whole"), "hello");
}

#[tokio::test]
async fn an_answer_before_the_body_is_whole_is_an_answer() {
    let mut peer = Peer::start().await;
    let endless = stream::repeat_with(|| Ok::<_, Error>(Bytes::from_static(&[b'x'; 16 * 1024])));
    let answer = tokio::spawn(post(&client(&peer)).body(Body::stream(endless)).send());
    let mut connection = peer.accept().await;
    connection.head().await;
    connection.say("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(within(answer).await.expect("no panic").expect("answered").status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(within(connection.is_closed()).await, "the rest of the body is not sent");
}

#[tokio::test]
async fn another_protocol_goes_on_with_what_was_read_already() {
    let mut peer = Peer::start().await;
    let answer = tokio::spawn(get(&client(&peer)).send());
    let mut connection = peer.accept().await;
    connection.head().await;
    connection.say("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nearly").await;
    let answer = within(answer).await.expect("no panic").expect("answered");
    let (mut reader, mut writer) = within(answer.upgrade()).await.expect("another protocol");
    connection.say(" late").await;
    let mut heard = [0; 10];
    within(reader.read_exact(&mut heard)).await.expect("ten bytes");
    assert_eq!(&heard, b"early late");
    writer.write_all(b"back").await.expect("written");
    connection.hear("back").await;
}
