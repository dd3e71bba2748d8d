//! A piece of network between two parts: it listens for the one, calls the other, and carries bytes both ways, as well as
//! its fault lets it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::fault::{Fault, Ways};

/// Bytes that are carried at a time.
const SEGMENT: usize = 16 * 1024;
/// Segments under way, each way; beyond them who sends has to wait.
const UNDER_WAY: usize = 64;
/// Connections at a time; beyond them who calls has to wait.
const CONNECTIONS: usize = 1000;
/// How much later what was lost arrives: as long as Linux waits, at least, before it sends again.
const SENT_AGAIN: Duration = Duration::from_millis(200);
/// How long a port may be somebody else's when the link is to listen again.
const PATIENCE: Duration = Duration::from_secs(10);

/// One link, for any number of connections. It ends when it is dropped.
#[derive(Debug)]
pub struct Link {
    port: u16,
    condition: watch::Sender<Condition>,
    listens: watch::Receiver<bool>,
    task: AbortHandle,
}

/// How it is.
#[derive(Clone, Copy, Debug, Default)]
struct Condition {
    fault: Option<Fault>,
    /// Who is called is not there: then who calls is refused, as without the link.
    is_target_down: bool,
}

impl Condition {
    fn stalls(&self, way: Ways) -> bool {
        matches!(self.fault, Some(Fault::Stall(ways)) if ways.include(way))
    }

    fn refuses(&self) -> bool {
        // Nobody hears through a stalled link that the other end has died.
        self.fault == Some(Fault::Cut) || (self.is_target_down && !self.stalls(Ways::Back))
    }

    fn delay(&self) -> Option<Duration> {
        match self.fault {
            Some(Fault::Slow(time)) => Some(time),
            Some(Fault::Lossy(percent)) => (rand::random_range(0..100) < percent).then_some(SENT_AGAIN),
            _ => None,
        }
    }
}

impl Link {
    /// A link to `target`, which need not be there yet.
    pub(super) async fn open(target: u16) -> anyhow::Result<Self> {
        let port = vx11_testing_servers::lasting_port();
        let (condition, seen) = watch::channel(Condition::default());
        let (listening, listens) = watch::channel(false);
        let task = tokio::spawn(serve(loopback(port), loopback(target), seen, listening)).abort_handle();
        let mut link = Self { port, condition, listens, task };
        link.settle().await?;
        Ok(link)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is wrong with it.
    pub fn fault(&self) -> Option<Fault> {
        self.condition.borrow().fault
    }

    /// Breaks it, or mends it.
    pub(super) async fn set(&mut self, fault: Option<Fault>) -> anyhow::Result<()> {
        self.condition.send_modify(|condition| condition.fault = fault);
        self.settle().await
    }

    /// Says whether who is called is there.
    pub(super) async fn target_is_down(&mut self, is_down: bool) -> anyhow::Result<()> {
        self.condition.send_modify(|condition| condition.is_target_down = is_down);
        self.settle().await
    }

    /// Waits until it listens as it should.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let wanted = !self.condition.borrow().refuses();
        let settled = self.listens.wait_for(|listens| *listens == wanted);
        tokio::time::timeout(PATIENCE, settled).await??;
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

async fn serve(
    address: SocketAddr,
    target: SocketAddr,
    mut condition: watch::Receiver<Condition>,
    listening: watch::Sender<bool>,
) {
    // Each connection ends by itself when the link refuses, or with this when the link is dropped.
    let mut connections = JoinSet::new();
    while condition.wait_for(|condition| !condition.refuses()).await.is_ok() {
        let Ok(listener) = TcpListener::bind(address).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        listening.send_replace(true);
        let shared = condition.clone();
        loop {
            tokio::select! {
                _ = condition.wait_for(Condition::refuses) => break,
                accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                    if let Ok((caller, _)) = accepted {
                        connections.spawn(connect(caller, target, shared.clone()));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        listening.send_replace(false);
    }
}

async fn connect(caller: TcpStream, target: SocketAddr, condition: watch::Receiver<Condition>) {
    let mut hears = condition.clone();
    let carried = match TcpStream::connect(target).await {
        Ok(called) => carry_both(caller, called, condition).await,
        Err(_) => Err(caller),
    };
    if let Err(caller) = carried {
        let _ = hears.wait_for(|condition| !condition.stalls(Ways::Back)).await;
        // Dropped, it is reset.
        let _ = caller.set_zero_linger();
    }
}

/// Carries until both sides have ended; the caller's side is handed back where it must be reset.
async fn carry_both(
    mut caller: TcpStream,
    mut called: TcpStream,
    condition: watch::Receiver<Condition>,
) -> Result<(), TcpStream> {
    let _ = (caller.set_nodelay(true), called.set_nodelay(true));
    let mut refuses = condition.clone();
    let is_whole = {
        let ((from_caller, to_caller), (from_called, to_called)) = (caller.split(), called.split());
        let to = carry(from_caller, to_called, Ways::To, condition.clone());
        let back = carry(from_called, to_caller, Ways::Back, condition);
        tokio::select! {
            ended = async { tokio::try_join!(to, back) } => ended.is_ok(),
            _ = refuses.wait_for(Condition::refuses) => false,
        }
    };
    if is_whole {
        return Ok(());
    }
    let _ = called.set_zero_linger();
    Err(caller)
}

/// Carries what comes `from` one side to the other, `way`, until it ends there.
async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Ways,
    mut condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    let (sender, mut segments) = mpsc::channel::<(Option<Instant>, Vec<u8>)>(UNDER_WAY);
    let mut seen = condition.clone();
    let reading = async move {
        let mut buffer = vec![0; SEGMENT];
        loop {
            let count = match from.read(&mut buffer).await {
                Ok(count) => count,
                Err(error) => {
                    flows(&mut seen, way).await;
                    return Err(error);
                }
            };
            let due = seen.borrow().delay().map(|delay| Instant::now() + delay);
            if count == 0 || sender.send((due, buffer[..count].to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    let writing = async {
        while let Some((due, segment)) = segments.recv().await {
            if let Some(due) = due {
                tokio::time::sleep_until(due).await;
            }
            flows(&mut condition, way).await;
            to.write_all(&segment).await?;
        }
        flows(&mut condition, way).await;
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}

/// Waits until bytes pass `way`.
async fn flows(condition: &mut watch::Receiver<Condition>, way: Ways) {
    // An error means that the link is gone, and its connections go with it.
    let _ = condition.wait_for(|condition| !condition.stalls(way)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link to a server that sends back what it gets.
    async fn linked() -> Link {
        let echo = TcpListener::bind(loopback(0)).await.expect("a port");
        let port = echo.local_addr().expect("it listens").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        Link::open(port).await.expect("opens")
    }

    async fn call(link: &Link) -> TcpStream {
        TcpStream::connect(loopback(link.port())).await.expect("connects")
    }

    async fn echo(stream: &mut TcpStream, text: &[u8]) -> io::Result<()> {
        stream.write_all(text).await?;
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard).await?;
        assert_eq!(heard, text);
        Ok(())
    }

    #[tokio::test]
    async fn everything_is_carried_and_the_end_too() {
        let link = linked().await;
        let mut stream = call(&link).await;
        let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
        let mut heard = Vec::new();
        let (mut from, mut to) = stream.split();
        let sending = async {
            to.write_all(&sent).await?;
            to.shutdown().await
        };
        tokio::try_join!(sending, from.read_to_end(&mut heard)).expect("whole");
        assert!(heard == sent);
    }

    #[tokio::test]
    async fn a_slow_or_lossy_link_is_late_and_in_order() {
        let mut link = linked().await;
        let mut stream = call(&link).await;
        for fault in [Fault::Slow(Duration::from_millis(20)), Fault::Lossy(100)] {
            link.set(Some(fault)).await.expect("set");
            let begun = Instant::now();
            echo(&mut stream, b"one").await.expect("whole");
            assert!(begun.elapsed() >= Duration::from_millis(40), "{fault}");
        }
    }

    #[tokio::test]
    async fn what_a_stalled_link_holds_goes_on_when_it_is_healed() {
        let mut link = linked().await;
        let mut stream = call(&link).await;
        for ways in [Ways::Both, Ways::To, Ways::Back] {
            link.set(Some(Fault::Stall(ways))).await.expect("set");
            stream.write_all(b"x").await.expect("sent");
            let passed = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
            assert!(passed.is_err(), "it passes a link that is stalled: {ways:?}");
            link.set(None).await.expect("healed");
            assert_eq!(stream.read_u8().await.expect("it comes"), b'x');
        }
    }

    #[tokio::test]
    async fn a_cut_resets_and_refuses_until_it_is_healed() {
        let mut link = linked().await;
        let mut stream = call(&link).await;
        echo(&mut stream, b"one").await.expect("whole");
        link.set(Some(Fault::Cut)).await.expect("set");
        assert_eq!(stream.read_u8().await.expect_err("reset").kind(), io::ErrorKind::ConnectionReset);
        let refused = TcpStream::connect(loopback(link.port())).await.expect_err("refused");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        link.set(None).await.expect("healed");
        echo(&mut call(&link).await, b"two").await.expect("whole");
    }

    #[tokio::test]
    async fn who_is_not_there_refuses_unless_the_link_is_stalled() {
        let mut link = linked().await;
        let mut stream = call(&link).await;
        echo(&mut stream, b"one").await.expect("whole");
        link.set(Some(Fault::Stall(Ways::Both))).await.expect("set");
        link.target_is_down(true).await.expect("set");
        call(&link).await;
        link.set(None).await.expect("healed");
        assert!(echo(&mut stream, b"two").await.is_err());
        assert!(TcpStream::connect(loopback(link.port())).await.is_err());
    }
}
