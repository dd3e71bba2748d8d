//! A client that goes away takes its call to the service along.

use tokio::io::AsyncWriteExt;

use crate::edge::{Edge, eventually, request};
use crate::service::{Act, Service, chunk, chunked_head};

#[tokio::test]
async fn leaving_before_the_answer_closes_the_services_connection() {
    let service = Service::always([Act::Wait]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for (n, body) in [String::new(), "{}".to_owned(), "x".repeat(100_000)].into_iter().enumerate() {
        let request = tokio::spawn(edge.post("/v1/chat/completions", body).send());
        eventually("the service is asked", async || service.requests().len() == n + 1).await;
        request.abort();
        eventually("the service sees its caller go", async || service.hung_up() == n + 1).await;
    }
    assert_eq!(edge.circuit("switch").await, "closed", "that says nothing about the service");
}

#[tokio::test]
async fn leaving_within_the_answer_closes_it_too() {
    let service = Service::always([chunked_head(""), chunk("hello"), Act::Wait]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let mut response = edge.get("/v1/chat/completions").send().await.unwrap();
    response.chunk().await.unwrap().expect("it has begun");
    drop(response);
    eventually("the service sees its caller go", async || service.hung_up() == 1).await;
}

#[tokio::test]
async fn leaving_within_the_request_closes_it_too() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let mut connection = edge.connect().await;
    let head = request(&["POST /v1/files HTTP/1.1", "transfer-encoding: chunked"]);
    connection.write_all(&[head.as_slice(), b"3\r\nabc\r\n"].concat()).await.unwrap();
    eventually("the service is connected to", async || service.connections() == 1).await;
    drop(connection);
    eventually("the service sees its caller go", async || service.cut_short() == 1).await;
    assert!(service.requests().is_empty(), "half a request is never made a whole one");
    assert_eq!(edge.circuit("switch").await, "closed", "that says nothing about the service");
}
