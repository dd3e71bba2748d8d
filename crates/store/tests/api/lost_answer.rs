//! The writer when the answer to its COMMIT is lost on the way: PostgreSQL has the rows, and the writer does not know it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use vx11_store::{AnyConnection, Scope, Sink, WriteError, Writer, WriterConfig, WriterHealth};
use vx11_testing_servers::Postgres;

use crate::database::{Home, Parcel, parcels};
use crate::fixture::eventually;

/// Writes each row as a parcel, whose name says at which attempt it was written.
struct Parcels(AtomicUsize);

impl Sink for Parcels {
    type Row = String;
    type Receipt = ();

    fn apply(&self, conn: &mut AnyConnection, rows: &[String]) -> QueryResult<()> {
        let attempt = self.0.fetch_add(1, Ordering::SeqCst);
        for row in rows {
            let parcel = Parcel::of("acme", &format!("{row} {attempt}"));
            diesel::insert_into(parcels::table).values(&parcel).execute(conn)?;
        }
        Ok(())
    }

    fn committed(&mut self, _: &[String], (): ()) {}
}

/// Stands before the server at `port`. Once `loses`, it lets a COMMIT through, and closes the connection in place of the
/// answer.
fn proxy(port: u16, loses: &Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let own = listener.local_addr().expect("it listens").port();
    let loses = loses.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it is there");
            let is_sent = Arc::new(AtomicBool::new(false));
            let (loses, sent) = (loses.clone(), is_sent.clone());
            let notes = move |bytes: &[u8]| {
                let is_commit = bytes.windows(6).any(|word| word == b"COMMIT");
                sent.fetch_or(is_commit && loses.swap(false, Ordering::SeqCst), Ordering::SeqCst);
                true
            };
            copy(client.try_clone().expect("a handle"), server.try_clone().expect("a handle"), notes);
            copy(server, client, move |_| !is_sent.load(Ordering::SeqCst));
        }
    });
    own
}

/// Carries what comes, as long as it may pass; then both are closed.
fn copy(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(&[u8]) -> bool + Send + 'static) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if !passes(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_commit_was_not_answered_are_written_once() {
    let (postgres, url) = tokio::task::spawn_blocking(|| (Postgres::shared(), Postgres::shared().new_database()))
        .await
        .expect("it starts");
    let loses = Arc::new(AtomicBool::new(false));
    let behind = url.replace(&format!(":{}/", postgres.port()), &format!(":{}/", proxy(postgres.port(), &loses)));
    let home = tokio::task::spawn_blocking(|| Home::new(Some(behind))).await.expect("a database");
    let config = WriterConfig { retry_every: Duration::from_millis(20), ..WriterConfig::default() };
    let writer = Writer::start(&home.database, Parcels(AtomicUsize::new(1)), config).expect("a thread");
    writer.write("books".to_owned()).await.expect("durable");
    loses.store(true, Ordering::SeqCst);
    assert_eq!(writer.write("lamps".to_owned()).await, Err(WriteError::Deferred));
    eventually("the writer is well again", || writer.health() == WriterHealth::Ok).await;
    writer.write("chairs".to_owned()).await.expect("durable");
    assert_eq!(home.names(Scope::Platform).await, ["books 1", "chairs 3", "lamps 2"]);
}
