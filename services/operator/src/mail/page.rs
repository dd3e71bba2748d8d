//! What stands in a message, once for both of its forms. Titles and texts are other people's: nothing in them is a line
//! break of ours, a mark of HTML, or turns the direction of what follows.

use std::fmt::Write as _;

use vx11_contracts::intervention::{DecisionKind, OnTimeout, Priority, Told};

use super::message::Look;
use crate::domain::intervention::Notice;

/// Most characters of a title in a subject.
const SUBJECT_CHARS: usize = 150;

/// What stands in a message.
pub(super) struct Page {
    pub(super) subject: String,
    title: String,
    lead: String,
    facts: Vec<(&'static str, String)>,
    /// Texts under a heading.
    sections: Vec<(&'static str, String)>,
    link: Option<String>,
    footer: String,
}

impl Page {
    pub(super) fn of(notice: &Notice, look: &Look) -> Self {
        let title = line(&notice.title);
        let urgent = if notice.priority >= Priority::High { format!("[{}] ", notice.priority) } else { String::new() };
        let subject = format!("{urgent}{}: {}", word(notice.told), cut(&title, SUBJECT_CHARS));
        let to = line(&notice.to);
        Self {
            subject,
            title,
            lead: lead(notice),
            facts: facts(notice),
            sections: sections(notice, look),
            link: look.link(notice),
            footer: format!("VX11 sends this to {to} because of a subscription of {}.", line(&notice.org_id)),
        }
    }

    /// As plain text.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n\n{}\n\n", self.title, self.lead);
        for (name, value) in &self.facts {
            let _ = writeln!(text, "{name:<14}{value}");
        }
        for (heading, body) in &self.sections {
            let _ = write!(text, "\n{heading}:\n{body}\n");
        }
        if let Some(link) = &self.link {
            let _ = write!(text, "\nOpen it: {link}\n");
        }
        let _ = write!(text, "\n-- \n{}\n", self.footer);
        text
    }

    /// As HTML that reads the same where styles are not shown.
    pub(super) fn html(&self) -> String {
        let (title, lead, footer) = (escaped(&self.title), escaped(&self.lead), escaped(&self.footer));
        let mut html = format!(
            "<!doctype html><html><head><meta charset=\"utf-8\"><title>{title}</title></head>\
             <body style=\"font-family:sans-serif;max-width:40em\"><h2 dir=\"auto\">{title}</h2><p>{lead}</p><table>"
        );
        for (name, value) in &self.facts {
            let cell = "style=\"text-align:left;vertical-align:top;padding-right:1em\"";
            let _ = write!(html, "<tr><th {cell}>{name}</th><td dir=\"auto\">{}</td></tr>", escaped(value));
        }
        html.push_str("</table>");
        for (heading, body) in &self.sections {
            let style = "style=\"white-space:pre-wrap;background:#f4f4f4;padding:.5em\" dir=\"auto\"";
            let _ = write!(html, "<h3>{heading}</h3><pre {style}>{}</pre>", escaped(body));
        }
        if let Some(link) = &self.link {
            let link = escaped(link);
            let _ = write!(html, "<p><a href=\"{link}\">Open it</a></p>");
        }
        let _ = write!(html, "<p style=\"color:#666\"><small>{footer}</small></p></body></html>");
        html
    }
}

fn word(told: Told) -> &'static str {
    match told {
        Told::Opened => "Waits for a decision",
        Told::Escalated => "Escalated",
        Told::Approved => "Approved",
        Told::Rejected => "Rejected",
        Told::Expired => "Expired",
        Told::Completed => "Closed",
    }
}

fn lead(notice: &Notice) -> String {
    let by = notice.decided.as_ref().map(|(_, by)| line(by));
    let by = by.map_or_else(String::new, |by| format!(" by {by}"));
    let edited = matches!(notice.decided, Some((DecisionKind::Edit, _)));
    match notice.told {
        Told::Opened => "This waits for a person's decision.".to_owned(),
        Told::Escalated => "Nobody has decided this in time. It waits for others now.".to_owned(),
        Told::Approved if edited => format!("This was approved{by}, with changes."),
        Told::Approved => format!("This was approved{by}."),
        Told::Rejected => format!("This was rejected{by}."),
        Told::Expired => "Nobody has decided this in time. The action does not run.".to_owned(),
        Told::Completed => "This was closed without a decision.".to_owned(),
    }
}

fn facts(notice: &Notice) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Priority", notice.priority.to_string()),
        ("Type", line(notice.intervention_type.as_str())),
        ("Asked by", line(&notice.created_by)),
        ("Asked at", time(&notice.created_at)),
    ];
    if matches!(notice.told, Told::Opened | Told::Escalated) {
        let then = match notice.on_timeout {
            OnTimeout::Reject => "then it expires, and the action does not run",
            OnTimeout::Approve => "then it is approved",
            OnTimeout::Escalate => "then others are asked, or it expires",
        };
        let by = notice.expires_at.as_ref().map(|at| format!("{} ({then})", time(at)));
        facts.push(("Decide by", by.unwrap_or_else(|| "any time".to_owned())));
    }
    facts.push(("Organisation", line(&notice.org_id)));
    facts.push(("Request", line(&notice.request_id)));
    facts
}

fn sections(notice: &Notice, look: &Look) -> Vec<(&'static str, String)> {
    let mut sections = Vec::new();
    if !notice.description.trim().is_empty() {
        sections.push(("What it is about", lines(&notice.description)));
    }
    if let Some((name, args)) = &notice.action {
        let name = line(name);
        let action = if look.arguments { format!("{name}\n{}", lines(args)) } else { name };
        sections.push(("What is to run", action));
    }
    if let Some(reason) = notice.reason.as_ref().filter(|reason| !reason.trim().is_empty()) {
        sections.push(("Why", lines(reason)));
    }
    sections
}

/// To the minute, of RFC 3339 in UTC.
fn time(at: &str) -> String {
    match at.get(..16) {
        Some(minute) => format!("{} UTC", minute.replacen('T', " ", 1)),
        None => line(at),
    }
}

/// A text as one line.
fn line(text: &str) -> String {
    let plain: String = text.chars().map(|char| if is_plain(char) { char } else { ' ' }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text with its lines.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.trim().chars().map(|char| if is_plain(char) || matches!(char, '\n' | '\t') { char } else { ' ' }).collect()
}

/// Whether it is neither a control character, nor a line break of Unicode's own, nor turns what follows around.
fn is_plain(char: char) -> bool {
    let turns = matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    !(char.is_control() || turns || matches!(char, '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    escaped
}
