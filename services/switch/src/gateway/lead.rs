//! The task behind a call that several requests may share. It owns all that it needs, because the request that it began
//! for may be gone before it ends; it ends early when nobody waits for it.

use std::sync::Arc;
use std::time::Instant;

use vx11_chassis::RequestContext;
use vx11_chassis::sse::Frame;
use vx11_contracts::chat::Usage;

use super::stream::{ChatStream, Step};
use super::{Call, Gateway};
use crate::accounts::Bill;
use crate::cache::{End, Entry, Gather, Head, Kind, Landed, Lead, Passage, Said};
use crate::domain::answer::Read;
use crate::domain::failover::{Answered, Tried};
use crate::domain::outcome::Outcome;
use crate::domain::request::ChatRequest;
use crate::domain::routing::Target;
use crate::domain::wishes::Wishes;

/// A request that can be asked when its caller is gone. Who asked first pays.
pub(super) struct Owned {
    gateway: Gateway,
    request: ChatRequest,
    targets: Box<[Target]>,
    context: RequestContext,
    wishes: Wishes,
    started: Instant,
    bill: Bill,
    passage: Passage,
}

impl Owned {
    pub(super) fn of(gateway: &Gateway, call: &Call<'_>) -> Self {
        // What is written for others too does not end when the one who asked first has waited long enough: each reader
        // looks to its own time. Until there is something to read, who asked first decides, and who joined may ask
        // anew.
        let wishes = Wishes { whole: None, begin: call.wishes.begins_by(), ..*call.wishes };
        Self {
            gateway: gateway.handle(),
            request: call.request.clone(),
            targets: call.targets.into(),
            context: call.context.clone(),
            wishes,
            started: call.started,
            bill: call.bill.clone(),
            passage: Passage::bypass(),
        }
    }

    fn call(&self) -> Call<'_> {
        Call {
            request: &self.request,
            targets: &self.targets,
            context: &self.context,
            wishes: &self.wishes,
            started: self.started,
            bill: &self.bill,
            passage: &self.passage,
            approval: None,
        }
    }

    /// Who answered.
    fn head(&self, tried: Vec<Tried>, request_id: Option<String>) -> Arc<Head> {
        let target = tried.last().and_then(|tried| self.targets.get(tried.target));
        let provider = target.map_or("", |target| &self.gateway.shared.registry.get(target.provider).name).into();
        let model = target.map_or_else(|| "".into(), |target| target.model.clone());
        Arc::new(Head { tried, request_id, provider, model })
    }

    /// Whether the answer is the one that the model's first choice gives: what stands in for it is not kept beyond the
    /// moment, or it would hide that the first choice is back. A model for longer requests stands in for nobody.
    fn is_of_first_choice(&self, tried: &[Tried]) -> bool {
        let (Some(first), Some(last)) = (tried.first(), tried.last()) else { return false };
        first.target == last.target || self.targets.get(last.target).is_some_and(|target| target.larger)
    }
}

/// Asks for a whole answer.
pub(super) async fn whole<T>(owned: Owned, lead: Lead, read: impl Fn(&[u8]) -> Option<Read<T>>) {
    let call = owned.call();
    let answered = tokio::select! {
        biased;
        () = lead.abandoned() => return,
        answered = owned.gateway.ask(&call, read) => answered,
    };
    match answered {
        Ok(Answered { answer, tried }) => {
            let keeps = owned.is_of_first_choice(&tried);
            let head = owned.head(tried, answer.request_id);
            let kind = if answer.is_native { Kind::Native } else { Kind::Pivot };
            land(&owned, lead, head, (kind, &answer.body), keeps, None);
        }
        Err(unanswered) => lead.end(End::Unanswered(Arc::new(unanswered))),
    }
}

/// Asks for a stream, and hands it on as it comes.
pub(super) async fn stream(owned: Owned, lead: Lead) {
    let call = owned.call();
    let asked = tokio::select! {
        biased;
        () = lead.abandoned() => return,
        asked = owned.gateway.ask_stream(&call) => asked,
    };
    let Answered { answer: mut stream, tried } = match asked {
        Ok(answered) => answered,
        Err(unanswered) => return lead.end(End::Unanswered(Arc::new(unanswered))),
    };
    let keeps = owned.is_of_first_choice(&tried);
    let head = owned.head(tried, stream.request_id.clone());
    lead.begin(head.clone());
    let mut written = Written::new(lead.cache.longest);
    let last = tokio::select! {
        biased;
        () = lead.abandoned() => return,
        last = hand_on(&mut stream, &lead, &mut written) => last,
    };
    if let Some(outcome) = last {
        return lead.end(End::Broken(outcome));
    }
    let usage = stream.usage();
    // One that another provider finished is whole, but not what the first choice says.
    let keeps = keeps && stream.way().is_none();
    match written.finish() {
        Some((kind, body)) => land(&owned, lead, head, (kind, &body), keeps, usage),
        None => lead.land(Landed { head, entry: None, usage }, false),
    }
}

/// Hands a stream on to its end, and tells how it broke where it did.
async fn hand_on(stream: &mut ChatStream, lead: &Lead, written: &mut Written) -> Option<Outcome> {
    loop {
        match stream.next().await {
            Step::Frame(frame) => {
                let said = Said { usage: stream.usage(), is_native: stream.is_native() };
                written.add(&frame, said.is_native);
                lead.tell(frame, said).await;
            }
            Step::End => return None,
            Step::Broken(outcome) => return Some(outcome),
        }
    }
}

/// The answer is whole: everybody gets it, and it is kept where that is right.
fn land(owned: &Owned, lead: Lead, head: Arc<Head>, (kind, body): (Kind, &[u8]), keeps: bool, usage: Option<Usage>) {
    let entry = Arc::new(Entry::new(kind, body, &head.provider, head.model.clone()));
    let keeps = keeps && body.len() <= lead.cache.longest && entry.is_whole(owned.request.operation);
    lead.land(Landed { head, entry: Some(entry), usage }, keeps);
}

/// What a stream has written, as it may be kept: put together where it is in the pivot, else as it came.
struct Written {
    pivot: Gather,
    native: Vec<u8>,
    limit: usize,
}

impl Written {
    fn new(limit: usize) -> Self {
        Self { pivot: Gather::new(limit), native: Vec::new(), limit }
    }

    fn add(&mut self, frame: &Frame, is_native: bool) {
        if !is_native {
            self.pivot.add(frame.data());
        } else if self.native.len() <= self.limit {
            self.native.extend_from_slice(&frame.raw);
        }
    }

    /// `None` where it is too much, or cannot be put together.
    fn finish(self) -> Option<(Kind, Vec<u8>)> {
        match (self.native.is_empty(), self.pivot.finish()) {
            (true, pivot) => pivot.map(|body| (Kind::Pivot, body)),
            (false, None) if self.native.len() <= self.limit => Some((Kind::NativeEvents, self.native)),
            // Two have written it, each in a wire of its own.
            (false, _) => None,
        }
    }
}
