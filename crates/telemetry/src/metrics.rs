//! What every service counts, in a registry of its own.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

/// Buckets for the head of an answer: from half a millisecond, which a local one takes, to a minute, which none may
/// take.
pub const ANSWER_SECONDS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0];

/// The registry of one service, with what all services count.
#[derive(Debug)]
pub struct ServiceMetrics {
    /// Requests served.
    pub http: HttpMetrics,
    registry: Registry,
}

/// Requests served, by endpoint, method and status.
#[derive(Debug)]
pub struct HttpMetrics {
    service: &'static str,
    requests: IntCounterVec,
    seconds: HistogramVec,
    errors: IntCounterVec,
}

impl ServiceMetrics {
    /// The metrics of `service`, which is of `version`.
    ///
    /// # Errors
    /// When a metric is refused; the names are fixed, so this would be a mistake in here.
    pub fn new(service: &'static str, version: &str) -> prometheus::Result<Arc<Self>> {
        let registry = Registry::new();
        let http = HttpMetrics::new(service, &registry)?;
        let build = IntGaugeVec::new(
            Opts::new("vx11_build_info", "Always 1; the labels say what runs."),
            &["service", "version"],
        )?;
        build.with_label_values(&[service, version]).set(1);
        register(&registry, build)?;
        register(&registry, crate::logs::DroppedLines::new()?)?;
        register(&registry, prometheus::process_collector::ProcessCollector::for_self())?;
        Ok(Arc::new(Self { http, registry }))
    }

    /// Where a service registers what it counts besides.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The content type and the text of a scrape.
    pub fn encode(&self) -> (&'static str, Vec<u8>) {
        let mut text = Vec::with_capacity(16 * 1024);
        // Only a family without metrics is refused, and `gather` leaves those out.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        (prometheus::TEXT_FORMAT, text)
    }
}

impl HttpMetrics {
    fn new(service: &'static str, registry: &Registry) -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("vx11_requests_total", "Requests answered, by route pattern, method and status."),
            &["service", "endpoint", "method", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("vx11_request_duration_seconds", "Seconds from a request's head to its answer's head.")
                .buckets(ANSWER_SECONDS.to_vec()),
            &["service", "endpoint", "method"],
        )?;
        let errors = IntCounterVec::new(
            Opts::new("vx11_errors_total", "Requests answered with an error, by its class."),
            &["service", "kind"],
        )?;
        for kind in ["client", "server"] {
            errors.with_label_values(&[service, kind]);
        }
        register(registry, requests.clone())?;
        register(registry, seconds.clone())?;
        register(registry, errors.clone())?;
        Ok(Self { service, requests, seconds, errors })
    }

    /// Counts one request. `endpoint` is a route pattern and `method` one of a fixed set, so that labels are bounded.
    pub fn observe(&self, endpoint: &str, method: &str, status: u16, elapsed: Duration) {
        let digits = [b'0' + (status / 100 % 10) as u8, b'0' + (status / 10 % 10) as u8, b'0' + (status % 10) as u8];
        let text = std::str::from_utf8(&digits).unwrap_or("000");
        self.requests.with_label_values(&[self.service, endpoint, method, text]).inc();
        self.seconds.with_label_values(&[self.service, endpoint, method]).observe(elapsed.as_secs_f64());
        match status {
            400..500 => self.errors.with_label_values(&[self.service, "client"]).inc(),
            500.. => self.errors.with_label_values(&[self.service, "server"]).inc(),
            _ => {}
        }
    }
}

fn register(registry: &Registry, collector: impl Collector + 'static) -> prometheus::Result<()> {
    registry.register(Box::new(collector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_shows_what_was_observed() {
        let metrics = ServiceMetrics::new("depot", "1.2.3").expect("registers");
        metrics.http.observe("/parcels/{id}", "GET", 404, Duration::from_millis(3));
        let text = String::from_utf8(metrics.encode().1).expect("text");
        for line in [
            r#"vx11_requests_total{endpoint="/parcels/{id}",method="GET",service="depot",status="404"} 1"#,
            r#"vx11_request_duration_seconds_bucket{endpoint="/parcels/{id}",method="GET",service="depot",le="0.005"} 1"#,
            r#"vx11_errors_total{kind="client",service="depot"} 1"#,
            r#"vx11_errors_total{kind="server",service="depot"} 0"#,
            r#"vx11_build_info{service="depot",version="1.2.3"} 1"#,
            "vx11_log_lines_dropped_total ",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn services_of_one_process_do_not_count_for_each_other() {
        let [one, other] = ["one", "other"].map(|service| ServiceMetrics::new(service, "1").expect("registers"));
        one.http.observe("/x", "GET", 200, Duration::ZERO);
        let text = String::from_utf8(other.encode().1).expect("text");
        assert!(!text.contains(r#"service="one""#) && !text.contains("vx11_requests_total{"), "{text}");
    }
}
