//! Names of the headers that VX11 reads and writes, in the lower case that HTTP/2 requires.

/// The shared token; `Authorization: Bearer` is accepted in its place.
pub const TOKEN: &str = "x-vx11-token";
/// Where clients of Anthropic's wire put their key; accepted in place of the token.
pub const API_KEY: &str = "x-api-key";
/// Ties together everything that one request caused. Echoed by every service; made where absent.
pub const CORRELATION_ID: &str = "x-correlation-id";
/// Whole milliseconds that the caller is still willing to wait for all of the answer, a stream's end included, counted
/// from when the request was sent.
pub const DEADLINE_MS: &str = "x-vx11-deadline-ms";
/// Names the upstream provider: in a request it pins one, in an answer it says who answered.
pub const PROVIDER: &str = "x-vx11-provider";
/// In an answer, the model that answered, as the provider knows it; in a request, the model to route by in place of the
/// body's.
pub const MODEL: &str = "x-vx11-model";
/// Whole milliseconds that a request to the gateway may take, a streamed answer's end included.
pub const TIMEOUT_MS: &str = "x-vx11-timeout-ms";
/// Whole milliseconds until an answer must have begun, whichever provider gives it; of a whole answer, until it is
/// there.
pub const BEGIN_TIMEOUT_MS: &str = "x-vx11-begin-timeout-ms";
/// Whole milliseconds that a provider may take to the first event of a stream before the next one is asked.
pub const TTFT_TIMEOUT_MS: &str = "x-vx11-ttft-timeout-ms";
/// Whole milliseconds that a new connection to a provider may take.
pub const CONNECT_TIMEOUT_MS: &str = "x-vx11-connect-timeout-ms";
/// Whole milliseconds that a stream may be silent before the next provider finishes it.
pub const IDLE_TIMEOUT_MS: &str = "x-vx11-idle-timeout-ms";
/// `off`: nobody but the first choice is asked.
pub const FALLBACK: &str = "x-vx11-fallback";
/// `interactive`, `normal` or `batch`: who goes first where a provider has as much work as it takes.
pub const PRIORITY: &str = "x-vx11-priority";
/// The conversation, for routes that keep one at the same provider.
pub const SESSION_ID: &str = "x-vx11-session-id";
/// The organisation that the request belongs to.
pub const ORG: &str = "x-vx11-org";
/// Who asks, where a service asks for somebody: a principal's subject. Heeded with the shared token alone.
pub const SUBJECT: &str = "x-vx11-subject";
/// In a request, the intervention by which a held request is allowed, and which it takes; in an answer, the one that the
/// request was held by.
pub const INTERVENTION: &str = "x-vx11-intervention";
/// RFC 7240: `respond-async` and `wait=N` say how long the caller waits for a person.
pub const PREFER: &str = "prefer";
/// RFC 7240: which of these was heeded.
pub const PREFERENCE_APPLIED: &str = "preference-applied";
/// The client's address as the edge knows it, for the routes that log people in. A client's own is dropped there.
pub const CLIENT_ADDRESS: &str = "x-vx11-client-address";
/// How many provider calls the answer took.
pub const ATTEMPTS: &str = "x-vx11-attempts";
/// Milliseconds, with fractions, that the gateway itself took until an answer's head.
pub const OVERHEAD_MS: &str = "x-vx11-overhead-ms";
/// Whether an answer came out of the gateway's response cache: `hit`, `miss`, or `bypass` where it was left out; absent
/// where there is none. In a request, `off` leaves it out.
pub const CACHE: &str = "x-vx11-cache";
/// OpenAI's name of a request: the provider's own where it gave one, else the correlation id.
pub const REQUEST_ID: &str = "x-request-id";
/// Anthropic's name of a request: the same, on Anthropic's routes.
pub const ANTHROPIC_REQUEST_ID: &str = "request-id";
/// OpenAI's finer `Retry-After`, in whole milliseconds.
pub const RETRY_AFTER_MS: &str = "retry-after-ms";
/// OpenAI's names for the limit on requests with the least left, what remains of it, and when it is whole again.
pub const RATELIMIT_REQUESTS: [&str; 3] =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
/// The same of the limit on tokens.
pub const RATELIMIT_TOKENS: [&str; 3] =
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
/// `no` asks nginx to hand a stream on as it comes.
pub const ACCEL_BUFFERING: &str = "x-accel-buffering";
/// What the answer cost, in US dollars as a decimal number, attempts that failed included. Not on streams.
pub const COST_USD: &str = "x-vx11-cost-usd";
/// `deferred` on an answer whose rows are kept in memory because the store cannot take them; absent when they are
/// durable.
pub const STORAGE: &str = "x-vx11-storage";
/// `true` on what a service answers that is about to stop: the next request belongs to another replica.
pub const DRAINING: &str = "x-vx11-draining";
/// W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C Trace Context, the vendors' part.
pub const TRACESTATE: &str = "tracestate";
