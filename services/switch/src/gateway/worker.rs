//! One worker's gateway to the configuration in force; handlers take it as an argument.

use std::cell::RefCell;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::ThinData;
use actix_web::{FromRequest, HttpRequest};
use vx11_chassis::ApiError;
use vx11_http_client::InvalidAddress;

use super::Gateway;
use crate::reload::Current;

/// Makes one worker's gateway anew when the configuration has changed. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    current: Arc<Current>,
    /// The gateway, and the version of the configuration that it is for.
    gateway: Rc<RefCell<(u64, Gateway)>>,
}

impl Worker {
    /// With clients of its own.
    ///
    /// # Errors
    /// When a provider's address cannot be called.
    pub(crate) fn new(current: Arc<Current>) -> Result<Self, InvalidAddress> {
        let version = current.version();
        let gateway = Gateway::new(current.get(), None)?;
        Ok(Self { current, gateway: Rc::new(RefCell::new((version, gateway))) })
    }

    /// The gateway of the configuration in force. A request keeps the one that it began with.
    fn gateway(&self) -> Gateway {
        let mut mine = self.gateway.borrow_mut();
        let version = self.current.version();
        if mine.0 != version {
            match Gateway::new(self.current.get(), Some(&mine.1)) {
                Ok(gateway) => *mine = (version, gateway),
                Err(error) => tracing::error!(%error, "no clients for the new configuration; the one before stays"),
            }
        }
        mine.1.handle()
    }
}

impl FromRequest for Gateway {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let worker = request.app_data::<ThinData<Worker>>();
        ready(worker.map(|worker| worker.gateway()).ok_or_else(|| ApiError::internal("this worker has no gateway")))
    }
}
