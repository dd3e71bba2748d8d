//! One HTTP server, set up as every service's is.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, ServiceConfig, ThinData};
use actix_web::{App, HttpRequest, HttpServer};
use bytes::Bytes;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use vx11_contracts::headers;
use vx11_telemetry::ServiceMetrics;

use crate::addresses::Addresses;
use crate::auth::{self, Credentials, Guard, Rule, Verifier};
use crate::config::Common;
use crate::connections;
use crate::error::ApiError;
use crate::extract::BodyLimit;
use crate::health::{self, Dependencies, Probes};
use crate::metrics_port;
use crate::observe::{self, Observed};
use crate::shutdown::Shutdown;

/// Limits of the HTTP server; the same for every service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Worker threads of each service; 0 stands for one for every two cores, and four at most.
    pub workers: usize,
    /// Open connections of each service, shared out among its workers.
    pub max_connections: usize,
    /// How long an idle connection stays open.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// How long a client may take to send the head of a request.
    #[serde(with = "humantime_serde")]
    pub request_head_timeout: Duration,
    /// How long a client may take nothing of what it is sent, or be out of reach.
    #[serde(with = "humantime_serde")]
    pub send_timeout: Duration,
    /// How long a stopping service still takes requests, so that load balancers see `/ready` fail first.
    #[serde(with = "humantime_serde")]
    pub shutdown_delay: Duration,
    /// How long a stopping service waits for requests under way.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Where `/metrics` is served instead of beside the other routes; for services that are processes of their own.
    pub metrics_bind: Option<SocketAddr>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            max_connections: 10_000,
            keep_alive: Duration::from_secs(75),
            request_head_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(60),
            shutdown_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            metrics_bind: None,
        }
    }
}

impl HttpConfig {
    /// How many workers a service has.
    ///
    /// A service seldom is alone on its machine, and what it hands to the kernel, to its store and to its log runs
    /// beside its workers: with one for each core they push each other out of the caches, at a tenth more CPU a request
    /// on two cores.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 4)),
            n => n,
        }
    }
}

/// Sees a new connection and may attach data to it, which handlers get from `HttpRequest::conn_data`.
pub type OnConnect = fn(&dyn std::any::Any, &mut actix_web::dev::Extensions);

/// What a service has to say about a caller before it looks at the request.
pub trait Admission: Send + Sync {
    /// Whether the request may come in at all.
    fn admit(&self, request: &HttpRequest) -> Result<(), ApiError>;

    /// Whether the caller may present a token; one whose tokens were wrong too often may not, until some time has
    /// passed.
    fn may_present_token(&self, request: &HttpRequest) -> Result<(), ApiError>;

    /// The caller has presented a wrong token.
    fn wrong_token(&self, request: &HttpRequest);
}

/// One service's admission, for all of its workers.
pub type Admit = Arc<dyn Admission>;

/// What a service is made of, as far as serving it goes.
pub struct Service {
    /// Its name in logs, metrics and health.
    pub name: &'static str,
    /// What callers must present; `None` leaves every route open.
    pub token: Option<SecretString>,
    /// Where `?token=` with a stream token is accepted.
    pub stream_paths: &'static [&'static str],
    /// Web pages that may call it from a browser; none for a service that only other services call.
    pub allowed_origins: Vec<String>,
    /// Refuses requests before their token is looked at.
    pub admit: Option<Admit>,
    /// Lets in callers that have another secret than the token.
    pub credentials: Option<Arc<dyn Credentials>>,
    /// Says who the bearers of access tokens and API keys are.
    pub verifier: Option<Arc<dyn Verifier>>,
    /// What these need for each route; a route that isn't named is closed to them.
    pub rules: &'static [Rule],
    /// Limits of the server.
    pub http: HttpConfig,
    /// Its metrics.
    pub metrics: Arc<ServiceMetrics>,
    /// Its dependencies for `/ready`.
    pub dependencies: Dependencies,
    /// Called for every new connection, as `HttpServer::on_connect` says.
    pub on_connect: Option<OnConnect>,
    /// Its routes' document; the chassis adds its own routes and the security scheme.
    pub openapi: OpenApi,
}

impl Service {
    /// A service that only other services call, with nothing special about it.
    pub fn new(
        name: &'static str,
        common: &Common,
        metrics: Arc<ServiceMetrics>,
        dependencies: Dependencies,
        openapi: OpenApi,
    ) -> Self {
        Self {
            name,
            token: common.token.clone(),
            stream_paths: &[],
            allowed_origins: Vec::new(),
            admit: None,
            credentials: None,
            verifier: None,
            rules: &[],
            http: common.http.clone(),
            metrics,
            dependencies,
            on_connect: None,
            openapi,
        }
    }
}

/// Serves until `shutdown` begins and the requests under way are done.
///
/// `configure` adds the routes. It is called once on each worker, so what it makes there belongs to that worker alone.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve<F>(service: Service, listener: TcpListener, shutdown: Shutdown, configure: F) -> anyhow::Result<()>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let span = tracing::info_span!("service", service = service.name);
    run(service, listener, shutdown, configure).instrument(span).await
}

async fn run<F>(service: Service, listener: TcpListener, shutdown: Shutdown, configure: F) -> anyhow::Result<()>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let Service { name, token, stream_paths, allowed_origins, admit, credentials, verifier, rules, .. } = service;
    let Service { http, metrics, dependencies, on_connect, openapi, .. } = service;
    let address = listener.local_addr()?;
    let guard = Arc::new(Guard { token, stream_paths, admit, credentials, verifier, rules });
    let observed = Observed { service: name, metrics: metrics.clone(), shutdown: shutdown.clone() };
    let probes = Probes { service: name, metrics, dependencies, shutdown: shutdown.clone() };
    let openapi = complete(openapi);
    let addresses = Arc::new(Addresses::new(&openapi));
    let document = Bytes::from(crate::docs::render(&openapi)?);
    drop(openapi);
    let metrics_port = http.metrics_bind.map(|address| metrics_port::open(probes.clone(), address)).transpose()?;
    let metrics_here = metrics_port.is_none();
    let workers = http.worker_count();

    let server = HttpServer::new(move || {
        App::new()
            .app_data(ThinData(guard.clone()))
            .app_data(ThinData(observed.clone()))
            .app_data(ThinData(probes.clone()))
            .app_data(BodyLimit::default())
            .configure(health::routes(metrics_here))
            .configure(configure.clone())
            // Last, because its pattern would be tried on every request.
            .configure(crate::docs::routes(document.clone()))
            .app_data(ThinData(addresses.clone()))
            .default_service(web::to(nothing_here))
            .wrap(from_fn(auth::guard))
            // Outside of the guard: a browser asks without the token whether it may send it, and may read every
            // refusal.
            .wrap(Condition::new(!allowed_origins.is_empty(), cors(&allowed_origins)))
            .wrap(from_fn(observe::observe))
    })
    .on_connect(move |connection, data| {
        connections::limit(connection, http.send_timeout);
        if let Some(attach) = on_connect {
            attach(connection, data);
        }
    })
    .workers(workers)
    // actix-web's limit is each worker's.
    .max_connections(http.max_connections.div_ceil(workers))
    .keep_alive(http.keep_alive)
    .client_request_timeout(http.request_head_timeout)
    .client_disconnect_timeout(Duration::from_secs(1))
    // A client that goes away drops its handler, and with it every call upstream.
    .h1_allow_half_closed(false)
    .tcp_nodelay(true)
    .disable_signals()
    .shutdown_timeout(http.drain_timeout.as_secs())
    .listen(listener)?
    .run();

    let handle = server.handle();
    let running = tokio::spawn(server.in_current_span());
    tracing::info!(address = %address, "listening");
    shutdown.begun().await;
    tracing::info!(in_flight_limit_ms = http.drain_timeout.as_millis() as u64, "draining");
    tokio::time::sleep(http.shutdown_delay).await;
    handle.stop(true).await;
    running.await??;
    if let Some(port) = metrics_port {
        port.close().await;
    }
    tracing::info!("stopped");
    Ok(())
}

fn cors(origins: &[String]) -> Cors {
    let exposed = [
        headers::CORRELATION_ID,
        headers::PROVIDER,
        headers::MODEL,
        headers::ATTEMPTS,
        headers::OVERHEAD_MS,
        headers::CACHE,
        headers::STORAGE,
        headers::REQUEST_ID,
        headers::ANTHROPIC_REQUEST_ID,
        headers::RETRY_AFTER_MS,
        headers::COST_USD,
        "age",
        "retry-after",
    ];
    let exposed = exposed.into_iter().chain(headers::RATELIMIT_REQUESTS).chain(headers::RATELIMIT_TOKENS);
    let cors = Cors::default().allow_any_method().allow_any_header().expose_headers(exposed).max_age(3600);
    origins.iter().fold(cors, |cors, origin| match origin.as_str() {
        "*" => cors.allow_any_origin(),
        origin => cors.allowed_origin(origin),
    })
}

async fn nothing_here(addresses: ThinData<Arc<Addresses>>, request: HttpRequest) -> Result<String, ApiError> {
    Err(addresses.refuse(request.method(), request.path()))
}

/// Adds what every service serves and needs: the health routes, the token as security scheme (a document that names its
/// own security keeps it), and what the chassis refuses before a route sees it.
pub fn complete(mut openapi: OpenApi) -> OpenApi {
    openapi.merge(health::HealthApi::openapi());
    openapi.info.license = None;
    let components = openapi.components.get_or_insert_default();
    let key = ApiKey::Header(ApiKeyValue::new(headers::TOKEN));
    components.security_schemes.extend(BTreeMap::from([
        ("token".to_owned(), SecurityScheme::ApiKey(key).into()),
        ("bearer".to_owned(), SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)).into()),
    ]));
    let none: [&str; 0] = [];
    openapi.security.get_or_insert_with(|| ["token", "bearer"].map(|name| SecurityRequirement::new(name, none)).into());
    crate::docs::describe(&mut openapi);
    openapi
}
