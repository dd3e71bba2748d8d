//! The two cookies: one of the session, one of a login that is under way.
//!
//! Neither has a domain, so no other host gets it, not even below ours; and both are secure wherever the public address
//! is, which the prefix of their names makes browsers hold other hosts to as well (RFC 6265bis, section 4.1.3). The
//! prefix `__Host-` would say yet more, but wants the path `/`: then every request would carry the session.

use actix_web::HttpRequest;
use actix_web::http::header::COOKIE;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use url::Url;
use vx11_identity::{NewRefreshToken, login_state};

const PATH: &str = "/operator/api/auth";
const CALLBACK_PATH: &str = "/operator/api/auth/callback";
/// Longest value that is looked at.
const MAX_VALUE: usize = 4096;

/// The cookies of an installation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies {
    is_secure: bool,
}

impl Cookies {
    pub(super) fn of(public_url: &Url) -> Self {
        Self { is_secure: public_url.scheme() == "https" }
    }

    fn name(self, name: &str) -> String {
        format!("{}vx11_{name}", if self.is_secure { "__Secure-" } else { "" })
    }

    fn set(self, name: &str, value: &str, path: &str, same_site: &str, seconds: i64) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let name = self.name(name);
        format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}")
    }

    /// The session's refresh token: sent along with requests of our own pages alone.
    pub(super) fn session(self, token: &NewRefreshToken, now: Timestamp) -> String {
        let left = token.expires_at.duration_since(now).as_secs().max(0);
        self.set("refresh", token.plain.expose_secret(), PATH, "Strict", left)
    }

    pub(super) fn no_session(self) -> String {
        self.set("refresh", "", PATH, "Strict", 0)
    }

    /// A login that is under way: sent along when the provider sends the browser back.
    pub(super) fn login(self, sealed: &str) -> String {
        self.set("login", sealed, CALLBACK_PATH, "Lax", login_state::LIFETIME.as_secs())
    }

    pub(super) fn no_login(self) -> String {
        self.set("login", "", CALLBACK_PATH, "Lax", 0)
    }

    pub(super) fn sent_session(self, http: &HttpRequest) -> Option<String> {
        sent(http, &self.name("refresh"))
    }

    pub(super) fn sent_login(self, http: &HttpRequest) -> Option<String> {
        sent(http, &self.name("login"))
    }
}

/// The value of the cookie `name`. One that is sent twice may be another host's work, and counts as none.
fn sent(http: &HttpRequest, name: &str) -> Option<String> {
    let lines = http.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(sent, _)| *sent == name).map(|(_, value)| value);
    let value = values.next().filter(|value| !value.is_empty() && value.len() <= MAX_VALUE)?;
    values.next().is_none().then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn cookies(url: &str) -> Cookies {
        Cookies::of(&url.parse().expect("a URL"))
    }

    #[test]
    fn no_page_no_other_host_and_nobody_on_the_way_reads_them() {
        let now = Timestamp::UNIX_EPOCH;
        let token = NewRefreshToken::make(now, now);
        let set = cookies("https://vx11.example").session(&token, now);
        let (value, rest) = set.split_once("; ").expect("attributes");
        assert_eq!(value, format!("__Secure-vx11_refresh={}", token.plain.expose_secret()));
        assert_eq!(rest, "Path=/operator/api/auth; Max-Age=604800; HttpOnly; SameSite=Strict; Secure");
        assert!(cookies("https://vx11.example").no_session().contains("=; Path=/operator/api/auth; Max-Age=0;"));
        let login = cookies("https://vx11.example").login("sealed");
        assert!(
            login.starts_with("__Secure-vx11_login=sealed; Path=/operator/api/auth/callback; Max-Age=600; HttpOnly")
        );
        assert!(login.ends_with("SameSite=Lax; Secure") && !login.contains("Domain"));
        assert!(!cookies("http://localhost:8000").login("sealed").contains("ecure"));
    }

    #[test]
    fn a_cookie_is_found_among_others_and_not_where_there_are_two() {
        let find = |line: &str| {
            let http = TestRequest::default().insert_header((COOKIE, line)).to_http_request();
            cookies("http://localhost").sent_session(&http)
        };
        assert_eq!(find("a=b; vx11_refresh=t0ken ;c=d").as_deref(), Some("t0ken"));
        for line in ["", "a=b", "vx11_refresh=", "xvx11_refresh=a", "vx11_refresh=a; vx11_refresh=b"] {
            assert_eq!(find(line), None, "{line}");
        }
        assert_eq!(find(&format!("vx11_refresh={}", "a".repeat(5000))), None);
    }
}
