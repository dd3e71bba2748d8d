//! What a message says, and which servers and addresses are taken.

use serde_json::json;
use vx11_contracts::intervention::{InterventionType, OnTimeout, Priority, Told};

use super::*;

fn notice() -> Notice {
    Notice {
        to: "ops@acme.example".to_owned(),
        told: Told::Opened,
        org_id: "acme".to_owned(),
        request_id: "hold:1".to_owned(),
        intervention_type: InterventionType::default(),
        priority: Priority::High,
        title: "Deploy?".to_owned(),
        description: "The nightly one.".to_owned(),
        created_by: "agent-1".to_owned(),
        created_at: "2026-11-22T10:00:00.000Z".to_owned(),
        expires_at: Some("2026-11-22T11:00:00.000Z".to_owned()),
        on_timeout: OnTimeout::Reject,
        action: Some(("deploy".to_owned(), r#"{"env": "prod"}"#.to_owned())),
        decided: None,
        reason: None,
    }
}

fn sent(notice: &Notice) -> String {
    let look = Look::new(Some("https://vx11.example/{org_id}/{request_id}".to_owned()), true).expect("a link");
    let from = "VX11 <vx11@corp.example>".parse().expect("a mailbox");
    let message = message::of(notice, "msg_1", &from, notice.to.parse().expect("an address"), &look);
    let text = String::from_utf8(message.expect("a message").formatted()).expect("ASCII");
    // Long lines go out as several (quoted-printable).
    text.replace("=\r\n", "").replace("=3D", "=")
}

fn headers(message: &str) -> &str {
    message.split_once("\r\n\r\n").expect("a body").0
}

#[test]
fn a_message_says_what_is_asked_until_when_and_where() {
    let message = sent(&notice());
    for expected in [
        "From: VX11 <vx11@corp.example>",
        "To: ops@acme.example",
        "Subject: [high] Waits for a decision: Deploy?",
        "Message-ID: <msg_1@corp.example>",
        "Auto-Submitted: auto-generated",
        "Importance: high",
    ] {
        assert!(headers(&message).lines().any(|line| line == expected), "{expected}: {message}");
    }
    for expected in [
        "Decide by     2026-11-22 11:00 UTC (then it expires, and the action does not run)",
        "The nightly one.",
        "deploy\r\n{\"env\": \"prod\"}",
        "Open it: https://vx11.example/acme/hold%3A1",
        "<a href=",
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn nobodys_title_is_a_header_or_html() {
    let title = "Hi\r\nBcc: eve@evil.example\r\n\r\n<script>alert('1')</script>\u{202e}\u{2028}x";
    let all = Notice {
        title: title.to_owned(),
        description: title.to_owned(),
        created_by: title.to_owned(),
        org_id: title.to_owned(),
        action: Some((title.to_owned(), title.to_owned())),
        reason: Some(title.to_owned()),
        told: Told::Rejected,
        ..notice()
    };
    let message = sent(&all);
    assert!(!headers(&message).lines().any(|line| line.starts_with("Bcc")), "{message}");
    let folded = headers(&message).replace("\r\n ", " ");
    assert!(folded.contains("Subject: [high] Rejected: Hi Bcc: eve@evil.example <script>"), "{message}");
    assert_eq!(message.matches("Subject:").count(), 1);
    // It is there as text.
    let html = page::Page::of(&all, &Look::new(None, true).expect("no link")).html();
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
    assert!(!html.contains('\u{202e}') && !html.contains('\u{2028}'));
}

#[test]
fn what_is_not_to_be_shown_is_not() {
    let page = page::Page::of(&notice(), &Look::new(None, false).expect("no link"));
    assert!(!page.text().contains("prod") && page.text().contains("deploy") && !page.text().contains("Open it"));
}

#[test]
fn a_link_leads_to_the_request_over_http() {
    for wrong in ["vx11.example/{request_id}", "https://vx11.example/", "javascript:alert('{request_id}')"] {
        assert!(Look::new(Some(wrong.to_owned()), true).is_err(), "{wrong}");
    }
}

fn mail(url: &str, config: EmailConfig) -> anyhow::Result<Mail> {
    Mail::new(config, [("VX11_SMTP_URL".to_owned(), url.to_owned())].into_iter().collect())
}

fn from() -> EmailConfig {
    EmailConfig { from: Some("vx11@corp.example".to_owned()), ..EmailConfig::default() }
}

#[test]
fn a_server_that_cannot_be_used_is_named_without_its_password() {
    for url in [
        "smtp://vx11:hunter2@mail.example?tls=opportunistic",
        "smtps://vx11:hunter2@mail.example?tls=none",
        "http://vx11:hunter2@mail.example",
        "smtp://vx11:hunter2@",
        "vx11:hunter2",
    ] {
        let error = format!("{:#}", mail(url, from()).expect_err(url));
        assert!(error.contains("VX11_SMTP_URL") && !error.contains("hunter2"), "{url}: {error}");
    }
    assert!(mail("smtp://vx11@mail.example", from()).is_err(), "a user without a password");
    let error = format!("{:#}", mail("smtp://mail.example", EmailConfig::default()).expect_err("no sender"));
    assert!(error.contains("operator.email.from"), "{error}");
    for url in ["smtp://mail.example:25", "smtps://u:p%40@mail.example", "smtp://mail.example?tls=none"] {
        let mail = mail(url, from()).expect(url);
        assert!(!format!("{mail:?}").contains("p%40"));
    }
}

#[test]
fn addresses_are_taken_where_they_may_be_written_to() {
    let off = mail("", from()).expect("no server");
    assert!(off.check_is_on().expect_err("no server").contains("VX11_SMTP_URL"));
    let allowed_domains = vec!["acme.example".to_owned()];
    let on = mail("smtp://mail.example", EmailConfig { allowed_domains, ..from() }).expect("a server");
    assert_eq!(on.admit("ops@ACME.example"), Ok("ops@ACME.example".to_owned()));
    for wrong in ["ops@globex.example", "ops", "a@acme.example, b@acme.example", "a@acme.example\r\nBcc: e@x.example"] {
        assert!(on.admit(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_given_up_and_what_has_no_server_waits() {
    let due = |body: String| Due {
        org: "acme".to_owned(),
        id: "msg_1".to_owned(),
        url: "mailto:ops@acme.example".to_owned(),
        body,
        attempt: 1,
        created_at: "2026-11-22T10:00:00.000Z".to_owned(),
    };
    let off = mail("", from()).expect("no server");
    let unreadable = off.attempt(&due(json!({"to": 1}).to_string())).await;
    assert!(matches!(unreadable, Err(Failure::Final(_))), "{unreadable:?}");
    let waits = off.attempt(&due(serde_json::to_string(&notice()).expect("JSON"))).await;
    assert!(matches!(waits, Err(Failure::Again { .. })), "{waits:?}");
}
