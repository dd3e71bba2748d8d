//! What one clause asks for: verbs that count, and services they are to act on.

use super::text::Clause;
use super::understanding::Command;
use super::verbs::{self, Verb, harmless_at, verb_at};
use crate::services;

/// What a clause says.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Words that ask for an action, in order.
    pub(super) asked: Vec<Asked>,
    /// What the driver is to do, in order.
    pub(super) commands: Vec<Command>,
    /// The services it names, in order.
    pub(super) services: Vec<&'static str>,
    /// Whether it speaks of everything, or of all services.
    pub(super) names_everything: bool,
    /// Whether it asks about something.
    pub(super) is_question: bool,
    /// Verbs that were not counted: asked about, negated, or part of code that is asked for.
    pub(super) mentioned: Vec<&'static Verb>,
}

/// A word that asks for an action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) verb: &'static Verb,
    /// Whether the driver does it, to at least one service.
    pub(super) is_automatic: bool,
}

const FILLERS: &[&str] = &[
    "please", "hey", "hi", "hello", "ok", "okay", "and", "but", "so", "now", "just", "also", "well", "favor", "oye",
    "hola", "y", "pero", "ahora", "bueno", "vale",
];
/// Words between a verb and the service it acts on.
const BETWEEN: &[&str] = &[
    "the",
    "a",
    "my",
    "our",
    "this",
    "that",
    "both",
    "service",
    "services",
    "process",
    "and",
    "please",
    "now",
    "immediately",
    "el",
    "la",
    "los",
    "las",
    "mi",
    "al",
    "servicio",
    "servicios",
    "proceso",
    "y",
    "e",
    "de",
    "vx11",
    "ya",
    "ahora",
];
const EVERYTHING: &[&str] = &["everything", "all", "todo", "todos", "todas"];
/// A clause that begins so asks, question mark or not.
const ASKING: &[&[&str]] = &[
    &["how"],
    &["what"],
    &["whats"],
    &["why"],
    &["which"],
    &["who"],
    &["whose"],
    &["does"],
    &["did"],
    &["is"],
    &["are"],
    &["was"],
    &["were"],
    &["explain"],
    &["describe"],
    &["tell", "me", "how"],
    &["tell", "me", "what"],
    &["tell", "me", "why"],
    &["tell", "me", "about"],
    &["show", "me", "how"],
    &["can", "i"],
    &["can", "we"],
    &["may", "i"],
    &["should", "i"],
    &["should", "we"],
    &["do", "i"],
    &["do", "you"],
    &["por", "que"],
    &["para", "que"],
    &["cual"],
    &["cuales"],
    &["quien"],
    &["explica"],
    &["explicame"],
    &["describe"],
    &["puedo"],
    &["podemos"],
    &["se", "puede"],
    &["dime", "como"],
    &["dime", "que"],
];
/// A clause that begins so asks when it has a question mark, or the accent that Spanish gives the word in questions.
const MAYBE_ASKING: &[&str] =
    &["when", "where", "do", "has", "have", "should", "que", "como", "cuando", "donde", "cuanto"];
/// These begin like questions and ask for the action.
const SUGGESTING: &[&[&str]] =
    &[&["how", "about"], &["what", "about"], &["why", "dont", "you"], &["why", "not"], &["por", "que", "no"]];
const NEGATORS: &[&str] = &[
    "not", "dont", "never", "no", "nunca", "jamas", "sin", "without", "cannot", "cant", "doesnt", "didnt", "wont",
    "shouldnt", "mustnt", "ni", "nor",
];
/// Words that may stand between a negation and what it negates.
const WITHIN_NEGATION: &[&str] =
    &["ever", "to", "be", "get", "please", "lo", "la", "los", "las", "se", "me", "le", "les"];
const WRITING: &[&str] = &[
    "write",
    "implement",
    "generate",
    "create",
    "code",
    "give",
    "show",
    "make",
    "need",
    "want",
    "escribe",
    "escribeme",
    "genera",
    "crea",
    "implementa",
    "dame",
    "hazme",
    "necesito",
    "quiero",
];
const CODE: &[&str] = &[
    "function", "method", "script", "code", "query", "program", "class", "snippet", "regex", "test", "macro",
    "funcion", "codigo", "consulta", "programa", "clase", "metodo",
];
const RUNNING: &[&str] = &["run", "execute", "apply", "ejecuta", "ejecutalo", "ejecutala", "aplica", "corre"];

/// Reads a clause.
pub(super) fn read(clause: &Clause) -> Reading {
    let words: Vec<&str> = clause.words.iter().map(|word| word.text.as_str()).collect();
    let start = opening(&words);
    let mut reading = Reading { is_question: asks(clause, &words, start), ..Reading::default() };
    // Whether the next service is what the last verb acts on.
    let mut is_object = false;
    let mut at = start;
    while let Some(rest) = words.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(length) = harmless_at(rest) {
            is_object = false;
            at += length;
        } else if let Some((verb, length)) = verb_here(&words, at, start) {
            is_object = !reading.is_question && !is_negated(&words[start..at]) && !is_in_code(&words, at);
            reading.verb(verb, is_object);
            at += length;
        } else if let Some((service, length)) = services::named_at(rest) {
            reading.service(service, is_object);
            at += length;
        } else {
            reading.names_everything |= EVERYTHING.contains(&rest[0]);
            is_object &= BETWEEN.contains(&rest[0]);
            at += 1;
        }
    }
    // Such a verb asks for nothing without a service.
    reading.asked.retain(|asked| asked.is_automatic || !asked.verb.needs_service());
    reading
}

impl Reading {
    fn verb(&mut self, verb: &'static Verb, counts: bool) {
        if counts {
            self.asked.push(Asked { verb, is_automatic: false });
        } else {
            self.mentioned.push(verb);
        }
    }

    fn service(&mut self, service: &'static str, is_object: bool) {
        self.services.push(service);
        let Some(asked) = self.asked.last_mut().filter(|_| is_object) else { return };
        if let Some(action) = asked.verb.power {
            asked.is_automatic = true;
            self.commands.push(Command { action, service: service.to_owned() });
        }
    }
}

/// Where a clause begins in earnest. A leading "madre" before a verb is who is spoken to, not what is spoken of.
fn opening(words: &[&str]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let is_por_favor = *word == "por" && words.get(at + 1) == Some(&"favor");
        let is_addressed = *word == "madre" && verb_at(&words[at + 1..]).is_some();
        if !(is_por_favor || is_addressed || FILLERS.contains(word)) {
            break;
        }
        at += 1;
    }
    at
}

fn asks(clause: &Clause, words: &[&str], start: usize) -> bool {
    let Some(rest) = words.get(start..).filter(|rest| !rest.is_empty()) else { return false };
    let begins = |openings: &[&[&str]]| openings.iter().any(|opening| rest.starts_with(opening));
    if begins(SUGGESTING) {
        return false;
    }
    let is_marked = clause.has_question_mark || clause.words[start].accented;
    begins(ASKING) || (is_marked && MAYBE_ASKING.contains(&rest[0]))
}

/// The verb at `at`. "para" is "for" in Spanish; it means "stop" only at the start of a clause, before what is stopped.
fn verb_here(words: &[&str], at: usize, start: usize) -> Option<(&'static Verb, usize)> {
    if words[at] == "para" && at == start {
        let object = words[at + 1..].iter().position(|word| !BETWEEN.contains(word)).map(|gap| at + 1 + gap);
        let is_command = object.is_some_and(|object| {
            EVERYTHING.contains(&words[object]) || services::named_at(&words[object..]).is_some()
        });
        return is_command.then_some((verbs::stop(), 1));
    }
    verb_at(&words[at..])
}

/// Whether a negation stands directly before.
fn is_negated(before: &[&str]) -> bool {
    let between = before.iter().rev().take_while(|word| WITHIN_NEGATION.contains(word)).count();
    before.len().checked_sub(between + 1).is_some_and(|at| NEGATORS.contains(&before[at]))
}

/// Whether the verb at `at` is what a requested piece of code is to do, and the code is not to be run.
fn is_in_code(words: &[&str], at: usize) -> bool {
    let Some(writing) = words[..at].iter().position(|word| WRITING.contains(word)) else { return false };
    let is_code = words[writing + 1..at].iter().any(|word| CODE.contains(word));
    is_code && !words[at..].iter().any(|word| RUNNING.contains(word))
}
