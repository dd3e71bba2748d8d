//! The one place where an answer may come from the cache, or from the call of another request that asks the same.
//!
//! A request that finds nothing leads a call: a task that asks the providers as ever, for its first seat and for all
//! that join. What the providers say about the request itself is the answer of all; any other failure is the leader's
//! alone, and whoever had joined then asks on its own: no worse off than without the cache, and after one wait at most.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tracing::Instrument;

use super::answer_stream::{AnswerStream, Replay, SharedStream};
use super::lead::{self, Owned};
use super::{Call, Completed, Gateway, exchange};
use crate::cache::{Asked, Beginning, Boarding, End, Entry, Form, Head, Kind, Landed, Lead, Origin, Seat, Use};
use crate::domain::answer::Read;
use crate::domain::failover::{Answered, Reason, Tried, Unanswered};
use crate::wire::Wire;

/// What a request finds, without asking anybody itself.
enum Found {
    /// A whole answer.
    Entry { entry: Arc<Entry>, way: Way, used: Use },
    /// One that is being written.
    Stream { head: Arc<Head>, seat: Seat, used: Use },
    /// None that it has a use for.
    Nothing,
}

/// The way to an answer, as far as it was this request's own.
#[derive(Default)]
struct Way {
    tried: Vec<Tried>,
    request_id: Option<String>,
}

impl Way {
    fn of(head: &Head, used: Use) -> Self {
        match used {
            Use::Miss => Self { tried: head.tried.clone(), request_id: head.request_id.clone() },
            _ => Self::default(),
        }
    }
}

impl Gateway {
    /// The first whole answer that `read` makes sense of: kept, shared, or asked for.
    pub(crate) async fn complete<T: 'static>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&[u8]) -> Option<Read<T>> + Copy + 'static,
    ) -> Result<Answered<Completed<T>>, Unanswered> {
        let Some(asked) = call.passage.asked() else { return self.ask_boxed(call, read).await };
        let begun = Instant::now();
        let fly = |owned, lead| drop(tokio::task::spawn_local(lead::whole(owned, lead, read).in_current_span()));
        if let Found::Entry { entry, way, used } = self.find(call, asked, Form::Whole, fly).await?
            && let Some(completion) = completion(&entry, call.request.wire)
            && let Some(read) = read(&completion)
        {
            self.note_use(call, asked, used, begun, || Origin::of(&entry));
            let Way { tried, request_id } = way;
            let is_native = entry.kind != Kind::Pivot;
            let answer = Completed { body: entry.body.clone(), is_native, read, request_id, estimate: None };
            return Ok(Answered { answer, tried });
        }
        asked.count(Use::Miss);
        self.ask_boxed(call, read).await
    }

    /// The first stream whose answer has begun: kept, shared, or asked for.
    pub(crate) async fn stream(&self, call: &Call<'_>) -> Result<Answered<AnswerStream>, Unanswered> {
        let Some(asked) = call.passage.asked() else { return self.ask_stream_live(call).await };
        let begun = Instant::now();
        let fly = |owned, lead| drop(tokio::task::spawn_local(lead::stream(owned, lead).in_current_span()));
        match self.find(call, asked, Form::Stream, fly).await? {
            Found::Entry { entry, way: Way { tried, request_id }, used } => {
                if let Some(replay) = Replay::new(&entry, request_id) {
                    self.note_use(call, asked, used, begun, || Origin::of(&entry));
                    return Ok(Answered { answer: AnswerStream::Kept(Box::new(replay)), tried });
                }
            }
            Found::Stream { head, seat, used } => {
                self.note_use(call, asked, used, begun, || Origin::fresh(&head));
                let Way { tried, request_id } = Way::of(&head, used);
                let shared = SharedStream::new(seat, call.wishes.whole, used == Use::Miss, request_id);
                return Ok(Answered { answer: AnswerStream::Shared(Box::new(shared)), tried });
            }
            Found::Nothing => {}
        }
        asked.count(Use::Miss);
        self.ask_stream_live(call).await
    }

    /// In a box, because actix's layers copy what a handler holds; so in [`Gateway::ask_stream_live`].
    fn ask_boxed<'a, T: 'a>(
        &'a self,
        call: &'a Call<'a>,
        read: impl Fn(&[u8]) -> Option<Read<T>> + 'a,
    ) -> LocalBoxFuture<'a, Result<Answered<Completed<T>>, Unanswered>> {
        Box::pin(self.ask(call, read))
    }

    async fn ask_stream_live(&self, call: &Call<'_>) -> Result<Answered<AnswerStream>, Unanswered> {
        let Answered { answer, tried } = Box::pin(self.ask_stream(call)).await?;
        Ok(Answered { answer: AnswerStream::Live(answer), tried })
    }

    /// Looks for an answer that is kept or on its way, and sees to it that one is.
    async fn find(
        &self,
        call: &Call<'_>,
        asked: &Asked,
        form: Form,
        fly: impl FnOnce(Owned, Lead),
    ) -> Result<Found, Unanswered> {
        let (seat, used) = match asked.board(form) {
            Boarding::Kept(entry) => return Ok(Found::Entry { entry, way: Way::default(), used: Use::Hit }),
            Boarding::Follow(seat) => (seat, Use::Shared),
            Boarding::Lead(lead, seat) => {
                fly(Owned::of(self, call), lead);
                (seat, Use::Miss)
            }
        };
        let beginning = async {
            match form {
                Form::Whole => Beginning::End(seat.end().await),
                Form::Stream => seat.beginning().await,
            }
        };
        let beginning = match call.wishes.begins_by() {
            // The call has the leader's own limits, and says what became of it.
            Some(deadline) if used == Use::Shared => {
                deadline.run(beginning).await.map_err(|_| unanswered(asked, used, Reason::OutOfTime))?
            }
            _ => beginning.await,
        };
        match beginning {
            Beginning::Stream(head) => Ok(Found::Stream { head, seat, used }),
            Beginning::End(End::Landed(Landed { head, entry: Some(entry), .. })) => {
                Ok(Found::Entry { entry, way: Way::of(&head, used), used })
            }
            Beginning::End(End::Unanswered(whole)) if used == Use::Miss => {
                asked.count(used);
                Err(Unanswered::clone(&whole))
            }
            Beginning::End(End::Unanswered(whole)) => match &whole.reason {
                refused @ Reason::Refused(_) => Err(unanswered(asked, used, refused.clone())),
                _ => Ok(Found::Nothing),
            },
            Beginning::End(_) => Ok(Found::Nothing),
        }
    }

    /// Takes note of how the request was answered; `origin` is where the answer came from, if it is not its own.
    fn note_use(&self, call: &Call<'_>, asked: &Asked, used: Use, begun: Instant, origin: impl FnOnce() -> Origin) {
        asked.count(used);
        if used == Use::Miss {
            return;
        }
        let mut origin = origin();
        match used {
            Use::Shared => origin.waited = begun.elapsed(),
            _ => self.shared.metrics.overhead(call.started.elapsed()),
        }
        call.bill.answered_by_cache(&origin.provider, &origin.model);
        call.passage.came_from(origin);
    }
}

/// A kept answer to a request in `wire`, in the pivot.
fn completion(entry: &Entry, wire: Wire) -> Option<Bytes> {
    match entry.kind {
        Kind::Pivot => Some(entry.body.clone()),
        Kind::Native => exchange::completion(&entry.body, wire).ok(),
        Kind::NativeEvents => None,
    }
}

fn unanswered(asked: &Asked, used: Use, reason: Reason) -> Unanswered {
    asked.count(used);
    Unanswered { tried: Vec::new(), reason }
}
