//! Deliveries: what is told outside, by webhook to the `callback_url` of a request and by e-mail to subscribers, and
//! how far that has come.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::words::words;
use super::{Decision, Intervention, InterventionType, Status};

words! {
    /// How far a delivery has come.
    DeliveryState {
        /// It is to be sent, perhaps again.
        Pending = "pending",
        /// The receiver has taken it.
        Delivered = "delivered",
        /// It was given up; it is sent again only when somebody asks for that.
        Dead = "dead",
    }
}

words! {
    /// The way on which something is told.
    #[schema(as = DeliveryChannel)]
    Channel {
        /// A signed `POST`.
        Webhook = "webhook",
        /// E-mail.
        Email = "email",
    }
}

/// Something that was told outside, or is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Delivery)]
pub struct Delivery {
    /// The same in each attempt: `webhook-id`, and what stands before the `@` of an e-mail's `Message-ID`.
    pub id: String,
    /// On which way.
    pub channel: Channel,
    /// The request that it tells of.
    pub request_id: String,
    /// What it tells, such as `intervention.approved`.
    pub event: String,
    /// Where it goes; `mailto:…` for e-mail.
    pub url: String,
    /// How far it has come.
    pub state: DeliveryState,
    /// Attempts that were begun, since somebody last asked for it to be sent again.
    pub attempts: u32,
    /// When it is sent next, RFC 3339 UTC; absent where it is not.
    pub next_at: Option<String>,
    /// What the last attempt failed of.
    pub last_error: Option<String>,
    /// When what it tells happened, RFC 3339 UTC.
    pub created_at: String,
    /// When the receiver took it, RFC 3339 UTC.
    pub delivered_at: Option<String>,
}

/// `GET /operator/api/notifications/deliveries?…`: the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListDeliveries {
    /// Only those that have come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Rows of the page: 1 to 500, 50 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 128)]
    pub cursor: Option<String>,
}

/// A page of deliveries. Pass `next` as `?cursor=` to get the page after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeliveryPage)]
pub struct DeliveryPage {
    /// The deliveries.
    pub items: Vec<Delivery>,
    /// Where the next page begins; absent on the last page.
    pub next: Option<String>,
}

/// The body of a webhook, in the shape that Standard Webhooks recommends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookEvent)]
pub struct WebhookEvent {
    /// `intervention.approved`, `intervention.rejected`, `intervention.expired`, or `intervention.completed`, which is
    /// one that was closed without a decision.
    #[serde(rename = "type")]
    pub event: String,
    /// When it happened, RFC 3339 UTC.
    pub timestamp: String,
    /// What happened.
    pub data: EndedIntervention,
}

/// A request whose wait is over. What it asked is not repeated: whoever wants it reads the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EndedIntervention {
    /// The request.
    pub request_id: String,
    /// The organisation that it belongs to.
    pub org_id: String,
    /// The unit of work that waited.
    pub uow_id: Option<String>,
    /// What it is about.
    pub intervention_type: InterventionType,
    /// Where it stands now.
    pub status: Status,
    /// Its version.
    pub version: i64,
    /// What a pilot read first.
    pub title: String,
    /// The decision, with the arguments where they were edited. None for one that expired, or was closed without one.
    pub decision: Option<Decision>,
    /// Why it was decided, or closed.
    pub action_reason: Option<String>,
    /// The request that made it, in logs and in the audit trail.
    pub correlation_id: Option<String>,
}

impl WebhookEvent {
    /// What there is to tell of `request`, whose wait ended at `timestamp`.
    pub fn ended(request: &Intervention, timestamp: &str) -> Self {
        Self {
            event: format!("intervention.{}", request.status.as_str().to_ascii_lowercase()),
            timestamp: timestamp.to_owned(),
            data: EndedIntervention {
                request_id: request.request_id.clone(),
                org_id: request.org_id.clone(),
                uow_id: request.uow_id.clone(),
                intervention_type: request.intervention_type.clone(),
                status: request.status,
                version: request.version,
                title: request.title.clone(),
                decision: request.decision.clone(),
                action_reason: request.action_reason.clone(),
                correlation_id: request.correlation_id.clone(),
            },
        }
    }
}
