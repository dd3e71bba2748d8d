//! Names of the headers that VX11 reads and writes, in the lower case that HTTP/2 requires.

/// The shared token; `Authorization: Bearer` is accepted in its place.
pub const TOKEN: &str = "x-vx11-token";
/// Where clients of Anthropic's wire put their key; the shared token is accepted here too.
pub const API_KEY: &str = "x-api-key";
/// Ties together everything that one request caused. Echoed by every service; made where absent.
pub const CORRELATION_ID: &str = "x-correlation-id";
/// Whole milliseconds that the caller is still willing to wait, counted from when the request was sent.
pub const DEADLINE_MS: &str = "x-vx11-deadline-ms";
/// Names the upstream provider: in a request it pins one, in an answer it says who answered.
pub const PROVIDER: &str = "x-vx11-provider";
/// The model that answered, as the provider knows it.
pub const MODEL: &str = "x-vx11-model";
/// How many provider calls the answer took.
pub const ATTEMPTS: &str = "x-vx11-attempts";
/// `deferred` on an answer whose rows are kept in memory because the store cannot take them; absent when they are durable.
pub const STORAGE: &str = "x-vx11-storage";
/// W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C Trace Context, the vendors' part.
pub const TRACESTATE: &str = "tracestate";
