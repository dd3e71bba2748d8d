//! In which order this request asks the targets of its model.

use std::sync::Arc;

use actix_web::HttpRequest;
use vx11_contracts::headers;

use crate::domain::routing::Target;
use crate::domain::strategy::Asker;
use crate::gateway::Gateway;

/// What a body says about its request, where a route asks for it.
pub(super) struct Said<'a> {
    pub(super) bytes: usize,
    /// An entry of its metadata.
    pub(super) tag: &'a dyn Fn(&str) -> Option<String>,
    /// The conversation, where no header names one.
    pub(super) session: &'a dyn Fn() -> Option<String>,
}

/// `targets`, which were found for `model`, in the order in which this request asks them.
pub(super) fn arrange(
    gateway: &Gateway,
    http: &HttpRequest,
    model: &str,
    targets: Arc<[Target]>,
    said: Said<'_>,
) -> Arc<[Target]> {
    // A pin leaves one target, and there is nothing to choose.
    if targets.len() < 2 {
        return targets;
    }
    let header = |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok());
    let session = || header(headers::SESSION_ID).map(str::to_owned).or_else(|| (said.session)());
    let asker =
        Asker { header: &header, tag: said.tag, bytes: said.bytes, org: header(headers::ORG), session: &session };
    gateway.arrange(model, targets, &asker)
}
