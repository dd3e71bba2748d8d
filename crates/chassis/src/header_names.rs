//! The contract's header names as actix-web has them, made at compile time: a name that is looked up by its text is
//! parsed and copied each time.

use actix_web::http::header::HeaderName;
use vx11_contracts::headers;

macro_rules! names {
    ($($name:ident)*) => {
        $(
            #[doc = concat!("[`headers::", stringify!($name), "`]")]
            pub const $name: HeaderName = HeaderName::from_static(headers::$name);
        )*
    };
}

names! {
    TOKEN API_KEY CORRELATION_ID DEADLINE_MS PROVIDER MODEL TIMEOUT_MS BEGIN_TIMEOUT_MS TTFT_TIMEOUT_MS CONNECT_TIMEOUT_MS
    IDLE_TIMEOUT_MS FALLBACK INTERVENTION PREFER PREFERENCE_APPLIED PRIORITY SESSION_ID ORG SUBJECT CLIENT_ADDRESS ATTEMPTS
    OVERHEAD_MS CACHE REQUEST_ID ANTHROPIC_REQUEST_ID
    RETRY_AFTER_MS COST_USD STORAGE DRAINING TRACEPARENT TRACESTATE
}
