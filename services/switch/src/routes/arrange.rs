//! In which order this request asks the targets of its model.

use std::sync::Arc;

use actix_web::HttpRequest;
use vx11_contracts::headers;

use crate::accounts::Caller;
use crate::domain::routing::{Target, able};
use crate::domain::strategy::Asker;
use crate::gateway::Gateway;
use crate::providers::Form;

/// What a body says about its request, where a route asks for it.
pub(super) struct Said<'a> {
    pub(super) bytes: usize,
    pub(super) stream: bool,
    /// An entry of its metadata.
    pub(super) tag: &'a dyn Fn(&str) -> Option<String>,
    /// The conversation, where no header names one.
    pub(super) session: &'a dyn Fn() -> Option<String>,
    /// Whether a target can do what it asks for.
    pub(super) can: &'a dyn Fn(&Target) -> bool,
}

/// `targets`, which were found for `model` and this pin, as far as they can do what is asked for, in the order in which
/// this request asks them. There may be none left.
pub(super) fn arrange(
    gateway: &Gateway,
    http: &HttpRequest,
    caller: &Caller,
    model: &str,
    pinned: Option<&str>,
    targets: Arc<[Target]>,
    said: Said<'_>,
) -> Arc<[Target]> {
    // A pin leaves one target, and there is nothing to choose.
    if pinned.is_some() || !gateway.shared.routes.is_planned(model) {
        return able(targets, said.can);
    }
    let header = |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok());
    let session = || header(headers::SESSION_ID).map(str::to_owned).or_else(|| (said.session)());
    let org = caller.org(|| header(headers::ORG));
    let asker = Asker { header: &header, tag: said.tag, bytes: said.bytes, org, session: &session };
    gateway.arrange(model, Form::of(said.stream), targets, &asker, said.can)
}
