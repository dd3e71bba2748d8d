//! The desk that requests for a person's decision come to: made, decided, waited for.
//!
//! It puts together what is decided (the domain), what is kept (the database) and who is told (the hub). It knows
//! nothing of HTTP.

mod hearing;
mod insights;
mod metrics;
mod refusals;
mod sweeper;
mod trail;
mod units;
mod waiters;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use vx11_chassis::Shutdown;
use vx11_contracts::event::Action;
use vx11_contracts::health::DependencyState;
use vx11_contracts::identity::{OrgId, Principal};
use vx11_contracts::intervention::{AnswerFormat, CreateIntervention, Intervention};
use vx11_contracts::time;
use vx11_store::{StoreError, Writer};

use crate::audit::Audit;
use crate::bus::{Bus, Hint};
use crate::control::{Changed, Control, Created, DecideError, Deliveries, Idempotency, Interventions, Subscriptions};
use crate::domain::audit::{Entry, Origin};
use crate::domain::event::INTERVENTION;
use crate::domain::intervention::{Actor, Asked, Command, open};
use crate::feed::Pushed;
use crate::hub::{Hub, News};
use crate::mail::Mail;
use crate::outbox::Outbox;
use crate::store::Record;
use crate::webhooks::Webhooks;

pub(crate) use metrics::DeskMetrics;
pub(crate) use refusals::Refusals;
use trail::owner;
pub(crate) use trail::tried;
use waiters::Waiters;

/// How often it is looked, for all who wait, what other replicas did.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Requests that are looked for by one query.
const LOT: usize = 200;
/// Longest last look of one whose wait is over: what was known before will do.
const LAST_LOOK: Duration = Duration::from_millis(250);

/// Where requests are made, decided and waited for.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    control: Control,
    hub: Hub<Arc<News>>,
    /// Of units of work, as dashboards are sent it.
    unit_hub: Hub<Pushed>,
    waiters: Waiters,
    refusals: Refusals,
    /// Of the trail, which the event stream shows.
    trail: Writer<Record>,
    metrics: DeskMetrics,
    outboxes: Outboxes,
    audit: Audit,
    /// Other replicas.
    bus: Bus,
    archive_days: u32,
    /// Whether the database answered when the sweeper last asked.
    is_reachable: Arc<AtomicBool>,
}

/// The ways on which something is told outside.
#[derive(Clone, Debug)]
pub(crate) struct Outboxes {
    pub(crate) webhooks: Outbox<Webhooks>,
    pub(crate) mail: Outbox<Mail>,
}

/// A request to be made.
#[derive(Debug)]
pub(crate) struct Ask {
    /// What is asked; validated.
    pub(crate) create: CreateIntervention,
    /// In which shape.
    pub(crate) format: AnswerFormat,
    /// What makes asking twice the same as asking once.
    pub(crate) idempotency: Option<Idempotency>,
    /// The HTTP request that asks.
    pub(crate) correlation_id: Option<String>,
}

/// How many may wait, and how long what has ended is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeskLimits {
    /// Callers of one organisation that wait at a time.
    pub(crate) waits: usize,
    /// Days that what has ended is kept.
    pub(crate) archive_days: u32,
}

/// Why nobody waits.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WaitError {
    /// As many of the organisation wait as may.
    #[error("too many callers of the organisation wait")]
    TooMany,
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Asking {
    /// It waits for a decision.
    Made(Box<Intervention>),
    /// It was made before, with the same idempotency key.
    Before(Box<Intervention>),
    /// Another body came with the same idempotency key.
    OtherBody,
    /// There is one of this id.
    Exists(String),
}

impl Desk {
    /// A desk over `control`.
    pub(crate) fn new(
        control: Control,
        trail: Writer<Record>,
        metrics: DeskMetrics,
        outboxes: Outboxes,
        audit: Audit,
        bus: Bus,
        DeskLimits { waits, archive_days }: DeskLimits,
    ) -> Self {
        let is_reachable = Arc::new(AtomicBool::new(true));
        let (waiters, refusals) = (Waiters::new(waits), Refusals::new(trail.clone()));
        Self {
            control,
            hub: Hub::default(),
            unit_hub: Hub::default(),
            waiters,
            refusals,
            trail,
            metrics,
            outboxes,
            audit,
            bus,
            archive_days,
            is_reachable,
        }
    }

    /// The requests of a caller's organisation.
    pub(crate) fn interventions(&self, principal: &Principal) -> Interventions {
        self.interventions_of(&principal.org)
    }

    /// The requests of an organisation, for what is not done for one caller.
    pub(crate) fn interventions_of(&self, org: &OrgId) -> Interventions {
        self.control.interventions(org.as_str())
    }

    /// What a caller's organisation has in the outbox.
    pub(crate) fn deliveries(&self, principal: &Principal) -> Deliveries {
        self.control.deliveries(principal.org.as_str())
    }

    /// Who gets e-mail about the interventions of a caller's organisation.
    pub(crate) fn subscriptions(&self, principal: &Principal) -> Subscriptions {
        self.control.subscriptions(principal.org.as_str())
    }

    /// How receivers outside are told.
    pub(crate) fn outboxes(&self) -> &Outboxes {
        &self.outboxes
    }

    /// Who is told at once.
    pub(crate) fn hub(&self) -> &Hub<Arc<News>> {
        &self.hub
    }

    /// Who is told at once of units of work.
    pub(crate) fn unit_hub(&self) -> &Hub<Pushed> {
        &self.unit_hub
    }

    /// What `/ready` says of it.
    pub(crate) fn state(&self) -> DependencyState {
        match self.is_reachable.load(Ordering::Relaxed) {
            true if self.control.is_unguarded() => DependencyState::degraded(
                "the role of VX11_DATABASE_URL is above PostgreSQL's row-level security, which is off by that",
            ),
            true => DependencyState::up(),
            false => DependencyState::degraded("its database does not answer: nothing is asked and decided meanwhile"),
        }
    }

    /// Makes a request in the organisation of `principal`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn ask(&self, principal: &Principal, ask: Ask) -> Result<Asking, StoreError> {
        let Ask { create, format, idempotency, correlation_id } = ask;
        let now = Timestamp::now();
        let request_id = create.request_id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let asked = Asked {
            org_id: principal.org.as_str().to_owned(),
            by: principal.subject.as_ref().to_owned(),
            request_id: request_id.clone(),
            correlation_id,
            format,
        };
        let request = open(create, asked, now);
        Ok(match self.interventions(principal).create(request.clone(), idempotency).await? {
            Created::New => {
                self.metrics.asked();
                self.tell(News { request: request.clone(), transitions: Vec::new() });
                Asking::Made(Box::new(crate::domain::intervention::seen_at(&request, now)))
            }
            Created::Before(before) => {
                let looked = self.look(principal, &before.request_id).await?;
                Asking::Before(looked.map_or(before, Box::new))
            }
            Created::OtherBody => Asking::OtherBody,
            Created::Exists => Asking::Exists(request_id),
        })
    }

    /// A request of the organisation of `principal`, as it stands now. `None`: there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn look(&self, principal: &Principal, id: &str) -> Result<Option<Intervention>, StoreError> {
        let Some(looked) = self.interventions(principal).look(id, Timestamp::now()).await? else { return Ok(None) };
        looked.settled.map(|settled| self.announce(settled));
        Ok(Some(looked.request))
    }

    /// Carries out what `principal` wants done with a request of its organisation. The audit log has it either way.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub(crate) async fn act(
        &self,
        principal: &Principal,
        origin: Origin,
        id: &str,
        command: Command,
    ) -> Result<Intervention, DecideError> {
        let actor = Actor::new(principal.subject.as_ref(), principal.role).from(origin);
        let (now, name) = (Timestamp::now(), command.name());
        match self.interventions(principal).decide(id, command, actor.clone(), now).await {
            Ok(changed) => Ok(self.announce(changed)),
            Err(mut error) => {
                if let DecideError::Refused { refusal, settled } = &mut error {
                    let what = format!("intervention_{name}");
                    let status = refusal.class().as_str();
                    self.refused(principal, tried(principal, &actor.origin, (INTERVENTION, &what, Some(id)), status));
                    settled.take().map(|settled| self.announce(*settled));
                }
                let entry = Entry::done(&actor, format!("intervention.{name}"), time::render(now));
                let (outcome, why) = error.for_the_log();
                self.audit.attempted(&principal.org, entry.to("intervention", id).ended(outcome, why));
                Err(error)
            }
        }
    }

    /// What bounds how many refusals of a caller are in the trail; one for all that refuse.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Leaves `row` in the trail, which tells that `principal` was refused.
    pub(crate) fn refused(&self, principal: &Principal, row: Action) {
        self.refusals.leave(principal, row);
    }

    /// Waits until a request is not open any more, or until `deadline` or the `shutdown`; the request as it is then.
    /// `None`: there is none.
    ///
    /// # Errors
    /// When too many wait, or the database does not answer.
    pub(crate) async fn wait(
        &self,
        principal: &Principal,
        id: &str,
        deadline: Instant,
        shutdown: &Shutdown,
    ) -> Result<Option<Intervention>, WaitError> {
        // Before the first look, so that nothing happens unheard in between.
        let mut waiter = self.waiters.enter(&principal.org, id).ok_or(WaitError::TooMany)?;
        let _counted = self.metrics.wait();
        let Some(first) = self.look(principal, id).await? else { return Ok(None) };
        if !first.status.is_open() || Instant::now() >= deadline {
            return Ok(Some(first));
        }
        tokio::select! {
            ended = waiter.ended() => return Ok(Some(ended)),
            // A service that stops answers everybody: who still wants the decision asks another replica.
            _ = tokio::time::timeout_at(deadline, shutdown.begun()) => {}
        }
        let last = tokio::time::timeout(LAST_LOOK, self.look(principal, id)).await;
        Ok(last.ok().and_then(Result::ok).unwrap_or(Some(first)))
    }

    /// Looks once a second what other replicas have ended of what is waited for here, until the service stops.
    pub(crate) async fn look_for_waiters(self, shutdown: Shutdown) {
        while !shutdown.has_begun() {
            let _ = tokio::time::timeout(LOOK_EVERY, shutdown.begun()).await;
            for wanted in self.waiters.wanted(LOT) {
                match self.control.ended_among(wanted).await {
                    Ok(ended) => ended.iter().for_each(|request| self.waiters.tell(request)),
                    Err(error) => {
                        tracing::debug!(%error, "who waits hears of this replica alone meanwhile");
                        break;
                    }
                }
            }
        }
    }

    fn announce(&self, changed: Changed) -> Intervention {
        let Changed { after, transitions, units, others } = changed;
        self.tell_units(units);
        others.into_iter().for_each(|other| drop(self.announce(other)));
        self.metrics.happened(&transitions);
        if after.callback_url.is_some() {
            self.outboxes.webhooks.wake();
        }
        self.tell(News { request: after.clone(), transitions });
        after
    }

    fn tell(&self, news: News) {
        trail::leave(&self.trail, &news);
        self.waiters.tell(&news.request);
        self.bus.tell(|| Hint::Request {
            org: owner(&news.request.org_id),
            id: news.request.request_id.clone(),
            transitions: news.transitions.clone(),
        });
        let org = news.request.org_id.clone();
        self.hub.tell(&org, || Arc::new(news));
    }
}
