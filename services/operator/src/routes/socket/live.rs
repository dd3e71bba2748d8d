//! An open socket: commands in, replies and pushes out.
//!
//! Ten thousand of these may be open: what one holds is small, pushes are shared, and what a command needs is there
//! while it runs. Who calls is asked again at each command, before a push and at each ping: a socket must not outlive the
//! token or key that opened it.

use std::sync::Arc;
use std::time::Duration;

use actix_ws::{AggregatedMessageStream, Session};
use bytestring::ByteString;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::Instant;
use vx11_chassis::ApiError;
use vx11_chassis::auth::{Caller, Refusal, Standing};
use vx11_contracts::ErrorCode;
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::{Command, Inbound, Push, PushTopic};

use super::End;
use super::callers::Place;
use super::commands::answer;
use super::frames::{Frame, done, read, refused};
use crate::domain::audit::Origin;
use crate::feed::Pushed;
use crate::state::State;

/// Pings without an answer after which a client is gone.
const MISSED_PINGS: u8 = 2;

/// An open socket.
pub(super) struct Live<'s> {
    state: &'s State,
    standing: Standing,
    /// Its place among the caller's own, where these are bounded.
    place: Option<Place>,
    origin: Origin,
    session: Session,
    /// What is pushed, where the client has asked for it.
    feed: Option<Receiver<Pushed>>,
    /// The same of units of work.
    units: Option<Receiver<Pushed>>,
    /// Whose requests alone it wants, beside those that wait for nobody in particular.
    pilot: Option<Arc<str>>,
    ping: Duration,
    ping_at: Instant,
    unanswered: u8,
    /// How many pushes were not sent since the client was last told so.
    missed: Option<u64>,
}

impl<'s> Live<'s> {
    pub(super) fn new(
        state: &'s State,
        standing: Standing,
        place: Option<Place>,
        origin: Origin,
        session: Session,
    ) -> Self {
        let ping = state.config.interventions.socket_ping;
        let ping_at = Instant::now() + ping;
        Self {
            state,
            standing,
            place,
            origin,
            session,
            feed: None,
            units: None,
            pilot: None,
            ping,
            ping_at,
            unanswered: 0,
            missed: None,
        }
    }

    /// Until it ends.
    pub(super) async fn run(mut self, messages: &mut AggregatedMessageStream) -> End {
        loop {
            let step = tokio::select! {
                () = self.state.shutdown.begun() => Err(End::Stopping),
                () = replaced(self.place.as_ref()) => Err(End::Replaced),
                came = messages.recv() => match read(came) {
                    // In a box: between commands nothing is held for them.
                    Ok(frame) => Box::pin(self.take(frame)).await,
                    Err(end) => Err(end),
                },
                pushed = next(&mut self.feed) => self.push(pushed).await,
                pushed = next(&mut self.units) => self.push_unit(pushed).await,
                () = tokio::time::sleep_until(self.ping_at) => self.ping().await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Result<(), End> {
        // Whatever comes, comes from somebody who is there.
        self.unanswered = 0;
        match frame {
            Frame::Text(text) => {
                self.state.chat.metrics.sockets().received.inc();
                let asked = self.standing.ask_again().await;
                let reply = match self.settle(asked)? {
                    Ok(()) => self.command(&text).await,
                    Err(unknown) => refused(Inbound::parse(&text).ok().and_then(|inbound| inbound.id), &unknown.into()),
                };
                self.send(reply).await
            }
            Frame::Ping(bytes) => self.session.pong(&bytes).await.map_err(|_| End::Left),
            Frame::Pong => Ok(()),
        }
    }

    /// Whether the caller still is who it was, as it was answered. While that cannot be told the socket stays, and does
    /// nothing.
    ///
    /// # Errors
    /// Why the socket is closed.
    fn settle(&self, asked: Result<(), Refusal>) -> Result<Result<(), Refusal>, End> {
        match asked {
            Ok(()) => {}
            Err(Refusal::Unavailable) => return Ok(Err(Refusal::Unavailable)),
            Err(refusal) => return Err(refusal.into()),
        }
        self.caller().require(Permission::ReadInterventions).map_err(|_| End::NotAllowed)?;
        Ok(Ok(()))
    }

    fn caller(&self) -> &Caller {
        self.standing.caller()
    }

    async fn command(&mut self, frame: &str) -> ByteString {
        let Inbound { id, command } = match Inbound::parse(frame) {
            Ok(inbound) => inbound,
            Err(error) => return refused(None, &ApiError::new(ErrorCode::MalformedRequest, error.to_string())),
        };
        let reply = match command {
            Command::Subscribe { pilot_id, topics } => self.subscribe(id.clone(), pilot_id, &topics),
            Command::Unsubscribe {} => {
                (self.feed, self.units) = (None, None);
                done("unsubscribe", id.clone(), serde_json::json!({}))
            }
            command => answer(self.state, self.caller(), &self.origin, id.clone(), command).await,
        };
        reply.unwrap_or_else(|error| refused(id, &error))
    }

    fn subscribe(
        &mut self,
        id: Option<serde_json::Value>,
        pilot: Option<String>,
        topics: &[PushTopic],
    ) -> Result<ByteString, ApiError> {
        let caller = self.standing.caller();
        let org = &caller.0.org;
        let wants = |topic| topics.contains(&topic);
        if wants(PushTopic::Units) {
            caller.require(Permission::ReadUnits)?;
        }
        let told = done("subscribe", id, serde_json::json!({ "org_id": org, "pilot_id": pilot, "topics": topics }));
        // Who has it already misses nothing.
        self.feed = match self.feed.take() {
            None if wants(PushTopic::Interventions) => Some(self.state.feeds.subscribe(org)),
            feed => feed.filter(|_| wants(PushTopic::Interventions)),
        };
        self.units = match self.units.take() {
            None if wants(PushTopic::Units) => Some(self.state.desk.unit_hub().subscribe(org.as_str())),
            units => units.filter(|_| wants(PushTopic::Units)),
        };
        self.pilot = pilot.map(Arc::from);
        told
    }

    async fn push(&mut self, pushed: Result<Pushed, RecvError>) -> Result<(), End> {
        let text = match pushed {
            Ok(Pushed { pilot: Some(pilot), .. }) if self.pilot.as_ref().is_some_and(|mine| *mine != pilot) => {
                return Ok(());
            }
            Ok(pushed) => Some(pushed.text),
            Err(RecvError::Lagged(missed)) => {
                let missed = skip(&mut self.feed, missed);
                self.miss(missed);
                None
            }
            // The feed is gone with its task; a new one begins with what was missed unknown.
            Err(RecvError::Closed) => {
                self.feed = Some(self.state.feeds.subscribe(&self.caller().0.org));
                self.miss(0);
                None
            }
        };
        self.pass_on(text).await
    }

    async fn push_unit(&mut self, pushed: Result<Pushed, RecvError>) -> Result<(), End> {
        let text = match pushed {
            Ok(pushed) => Some(pushed.text),
            Err(RecvError::Lagged(missed)) => {
                let missed = skip(&mut self.units, missed);
                self.miss(missed);
                None
            }
            Err(RecvError::Closed) => {
                self.units = Some(self.state.desk.unit_hub().subscribe(self.caller().0.org.as_str()));
                self.miss(0);
                None
            }
        };
        self.pass_on(text).await
    }

    /// Sends a push, or that some were missed, to a caller who still is who it was.
    async fn pass_on(&mut self, text: Option<ByteString>) -> Result<(), End> {
        let asked = self.standing.ask_before_sending().await;
        if self.settle(asked)?.is_err() {
            self.miss(u64::from(text.is_some()));
            return Ok(());
        }
        self.tell_missed().await?;
        match text {
            Some(text) => self.send(text).await,
            None => Ok(()),
        }
    }

    fn miss(&mut self, pushes: u64) {
        self.missed = Some(self.missed.unwrap_or_default() + pushes);
    }

    /// Has the client read the lists, where it was not sent everything.
    async fn tell_missed(&mut self) -> Result<(), End> {
        match self.missed.take() {
            Some(missed) => self.send(Pushed::new(Push::Resync { missed }).text).await,
            None => Ok(()),
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.unanswered >= MISSED_PINGS {
            return Err(End::Silent);
        }
        let asked = self.standing.ask_again().await;
        // Where it cannot be told, the next ping asks again.
        if self.settle(asked)?.is_ok() {
            self.tell_missed().await?;
        }
        self.unanswered += 1;
        self.ping_at = Instant::now() + self.ping;
        self.session.ping(b"").await.map_err(|_| End::Left)
    }

    /// Sends a message, as soon as the client has taken some of what came before.
    async fn send(&mut self, text: ByteString) -> Result<(), End> {
        tokio::select! {
            sent = self.session.text(text) => sent.map_err(|_| End::Left)?,
            () = self.state.shutdown.begun() => return Err(End::Stopping),
        }
        self.state.chat.metrics.sockets().sent.inc();
        Ok(())
    }
}

/// Until a newer socket of the same caller has taken the place.
async fn replaced(place: Option<&Place>) {
    match place {
        Some(place) => place.is_taken().await,
        None => std::future::pending().await,
    }
}

/// Leaves out what is kept too, where pushes were missed: the lists that are read now have it. How many are left out.
fn skip(feed: &mut Option<Receiver<Pushed>>, missed: u64) -> u64 {
    let Some(feed) = feed else { return missed };
    let kept = feed.len() as u64;
    *feed = feed.resubscribe();
    missed + kept
}

/// The next push; never, for who has not asked for any.
async fn next(feed: &mut Option<Receiver<Pushed>>) -> Result<Pushed, RecvError> {
    match feed {
        Some(feed) => feed.recv().await,
        None => std::future::pending().await,
    }
}
