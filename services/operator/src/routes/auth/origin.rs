//! Whether a request comes from a page of our own: against other pages that have a browser send our cookie (CSRF).
//!
//! As OWASP's Cross-Site Request Forgery Prevention Cheat Sheet has it: what the browser says of where the request is
//! from (`Sec-Fetch-Site`, which pages cannot set), and `Origin` from browsers that don't say; who says neither is
//! refused. The cookie's `SameSite=Strict` stands behind it, and is not relied on: it lets pages of hosts beside ours in.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, ORIGIN};
use url::Url;
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where a request is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// A page of our own.
    Ours,
    /// Any other page.
    Elsewhere,
    /// It doesn't say: no browser sends it so.
    Unsaid,
}

/// Lets only pages of our own pass, for what relies on a cookie.
///
/// # Errors
/// `cross_site` for others, and for who doesn't say.
pub(super) fn check(http: &HttpRequest, public_url: &Url) -> Result<(), ApiError> {
    match from(http, public_url) {
        From::Ours => Ok(()),
        From::Elsewhere => Err(refused(public_url)),
        From::Unsaid => Err(ApiError::new(
            ErrorCode::CrossSite,
            format!("say where this comes from: `Origin: {}`", public_url.origin().ascii_serialization()),
        )),
    }
}

/// Lets all pass but pages of others, for what relies on no cookie and sets one.
///
/// # Errors
/// `cross_site` for others.
pub(super) fn check_if_said(http: &HttpRequest, public_url: &Url) -> Result<(), ApiError> {
    if from(http, public_url) == From::Elsewhere { Err(refused(public_url)) } else { Ok(()) }
}

fn refused(public_url: &Url) -> ApiError {
    let ours = public_url.origin().ascii_serialization();
    ApiError::new(ErrorCode::CrossSite, format!("this is taken from pages of {ours} only"))
}

fn from(http: &HttpRequest, public_url: &Url) -> From {
    let said = |name: HeaderName| http.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    match (said(SEC_FETCH_SITE), said(ORIGIN)) {
        (Some("same-origin"), _) => From::Ours,
        (Some(_), _) => From::Elsewhere,
        (None, Some(origin)) if origin == public_url.origin().ascii_serialization() => From::Ours,
        (None, Some(_)) => From::Elsewhere,
        (None, None) => From::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn judged(headers: &[(&str, &str)]) -> From {
        let mut http = TestRequest::post();
        for header in headers {
            http = http.insert_header(*header);
        }
        from(&http.to_http_request(), &"https://vx11.example".parse().expect("a URL"))
    }

    #[test]
    fn only_pages_of_our_own_origin_are_ours() {
        let (site, origin) = ("sec-fetch-site", "origin");
        assert_eq!(judged(&[(site, "same-origin")]), From::Ours);
        assert_eq!(judged(&[(origin, "https://vx11.example")]), From::Ours);
        for elsewhere in ["same-site", "cross-site", "none", ""] {
            assert_eq!(judged(&[(site, elsewhere), (origin, "https://vx11.example")]), From::Elsewhere, "{elsewhere}");
        }
        for other in ["https://evil.example", "http://vx11.example", "https://vx11.example:8443", "null", ""] {
            assert_eq!(judged(&[(origin, other)]), From::Elsewhere, "{other}");
        }
        assert_eq!(judged(&[]), From::Unsaid);
    }
}
