//! A message of what is told: its headers, and the page in plain text and in HTML.

use anyhow::Context;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use url::Url;
use vx11_contracts::intervention::Priority;
use vx11_identity::Sha256;

use super::page::Page;
use crate::domain::intervention::Notice;

/// How messages look.
#[derive(Clone, Debug)]
pub(super) struct Look {
    link: Option<String>,
    /// Whether arguments are in them.
    pub(super) arguments: bool,
}

impl Look {
    /// # Errors
    /// When `link` leads nowhere, or to the same page for every request.
    pub(super) fn new(link: Option<String>, arguments: bool) -> anyhow::Result<Self> {
        let look = Self { link, arguments };
        if let Some(link) = &look.link {
            let example: Url = fill(link, "org", "request").parse().context("it is no address")?;
            anyhow::ensure!(matches!(example.scheme(), "http" | "https"), "it must begin with https:// or http://");
            anyhow::ensure!(link.contains(REQUEST), "it must have {REQUEST} in it");
        }
        Ok(look)
    }

    /// Where a pilot finds the request.
    pub(super) fn link(&self, notice: &Notice) -> Option<String> {
        self.link.as_deref().map(|link| fill(link, &notice.org_id, &notice.request_id))
    }
}

const REQUEST: &str = "{request_id}";
const ORG: &str = "{org_id}";
/// What filters of mailboxes know it by, so that nobody's absence is answered (RFC 3834).
const AUTO_SUBMITTED: (&str, &str) = ("Auto-Submitted", "auto-generated");
const IMPORTANT: (&str, &str) = ("Importance", "high");

fn fill(link: &str, org: &str, request: &str) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    link.replace(ORG, &encoded(org)).replace(REQUEST, &encoded(request))
}

/// The message. A delivery has one `Message-ID` in all its attempts, by which a second copy is known.
///
/// # Errors
/// When no message can be made of it.
pub(super) fn of(
    notice: &Notice,
    delivery: &str,
    from: &Mailbox,
    to: Address,
    look: &Look,
) -> Result<Message, lettre::error::Error> {
    let page = Page::of(notice, look);
    let domain = from.email.domain();
    let about = format!("<request.{}@{domain}>", conversation(notice));
    let mut message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(page.subject.as_str())
        .message_id(Some(format!("<{delivery}@{domain}>")))
        // All about one request is one conversation.
        .in_reply_to(about.clone())
        .references(about)
        .raw_header(header(AUTO_SUBMITTED));
    if notice.priority >= Priority::High {
        message = message.raw_header(header(IMPORTANT));
    }
    message.multipart(MultiPart::alternative_plain_html(page.text(), page.html()))
}

fn header((name, value): (&'static str, &str)) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// What names a request in a header, whatever its id is made of.
fn conversation(notice: &Notice) -> String {
    let mut name = Sha256::of_parts([notice.org_id.as_bytes(), b"/", notice.request_id.as_bytes()]).to_string();
    name.truncate(32);
    name
}
