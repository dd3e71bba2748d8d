//! What handlers share.

use crate::chat::Chat;
use crate::maintenance::Maintenance;
use crate::plans::Plans;
use crate::power::Power;
use crate::store::Store;

/// Cheap handles.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) chat: Chat,
    pub(crate) plans: Plans,
    pub(crate) power: Power,
    pub(crate) maintenance: Maintenance,
    pub(crate) store: Store,
}
