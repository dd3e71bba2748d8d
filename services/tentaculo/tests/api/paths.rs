//! Where paths lead, and where they do not.

use crate::edge::{Answer, Edge};
use crate::service::{Service, answer};

/// An edge before three services that say their names.
async fn three() -> (Edge, [Service; 3]) {
    let named = async |name: &str| Service::always([answer(200, "", name)]).await;
    let services = [named("operator").await, named("madre").await, named("switch").await];
    let [operator, madre, switch] = &services;
    let urls =
        [("VX11_OPERATOR_URL", &*operator.url), ("VX11_MADRE_URL", &madre.url), ("VX11_SWITCH_URL", &switch.url)];
    (Edge::start(&urls).await, services)
}

#[tokio::test]
async fn each_prefix_leads_to_its_service_with_path_and_query_as_they_are() {
    let (edge, services) = three().await;
    for (path, at) in [
        ("/operator", 0),
        ("/operator/", 0),
        ("/operator/api/chat", 0),
        ("/operator//api", 0),
        ("/operator/..a/b..", 0),
        ("/operator/a%2Fb%20c", 0),
        ("/operator/a;b=c,d@e:f!$&'()*+", 0),
        ("/operator/%252e%252e/madre", 0),
        ("/madre/plans?x=1&x=2&y=%26&z", 1),
        ("/madre?", 1),
        ("/switch/chat", 2),
        ("/v1", 2),
        ("/v1/models?a=/../b", 2),
    ] {
        let got = edge.raw(&[&format!("GET {path} HTTP/1.1")], "").await;
        assert!(got.ends_with(["operator", "madre", "switch"][at]), "{path}: {got}");
        let seen = services[at].last();
        assert!(seen.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{path}: {seen}");
    }
}

#[tokio::test]
async fn no_path_climbs_out_of_its_service() {
    let (edge, services) = three().await;
    for path in [
        "/operator/../madre/plans",
        "/operator/..",
        "/operator/.",
        "/operator/./x",
        "/operator/a/../../madre",
        "/operator/%2e%2e/madre",
        "/operator/%2E%2e/madre",
        "/operator/.%2e/madre",
        "/operator/%2e./madre",
        "/operator/%2e/madre",
        "/operator/\\..\\madre",
        "/operator/..\\madre",
        "/v1/..;/../switch",
        "/../operator",
        "/./operator",
        "/%2e%2e/operator/x",
        "/operator%2f..%2fmadre",
        "/operator%2fapi",
        "/%6fperator/api",
        "/%2foperator",
        "//operator",
        "/operator%00/x",
        "/OPERATOR/x",
        "/admin/requests",
        "/operatorx",
        "/v10/models",
        "/v1%2fmodels",
        "http://madre:8001/admin",
        "*",
        "operator/x",
    ] {
        let got = edge.raw(&[&format!("GET {path} HTTP/1.1")], "").await;
        assert!(got.starts_with("HTTP/1.1 400") || got.starts_with("HTTP/1.1 404"), "{path}: {got}");
    }
    assert!(services.iter().all(|service| service.requests().is_empty()));
}

#[tokio::test]
async fn an_absolute_address_counts_by_its_path() {
    let (edge, services) = three().await;
    let got = edge.raw(&["GET http://madre:8001/operator/x HTTP/1.1"], "").await;
    assert!(got.ends_with("operator"), "{got}");
    assert!(services[0].last().starts_with("GET /operator/x HTTP/1.1\r\n"));
    assert!(services[1].requests().is_empty());
}

#[tokio::test]
async fn an_unknown_address_says_so_in_the_shape_of_its_route() {
    let (edge, _services) = three().await;
    for path in ["/nothing", "/operatorx/api", "/favicon.ico"] {
        assert_eq!(Answer::of(edge.get(path)).await.refusal(), (404, "not_found".to_owned()), "{path}");
    }
    let got = Answer::of(edge.post("/", "")).await;
    assert!([404, 405].contains(&got.refusal().0), "{got:?}");
    assert_eq!(Answer::of(edge.get("/")).await.json()["services"]["/v1"], "switch");
}

#[tokio::test]
async fn a_service_may_live_below_a_path() {
    let service = Service::well().await;
    for base in ["/base", "/base/"] {
        let edge = Edge::in_front_of(&format!("{}{base}", service.url), &[]).await;
        assert_eq!(Answer::of(edge.get("/madre/plans?x=1")).await.status, 200);
        assert!(service.last().starts_with("GET /base/madre/plans?x=1 HTTP/1.1\r\n"), "{}", service.last());
    }
}
