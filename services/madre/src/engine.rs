//! The deterministic engine: what a message asks for, how much harm that could do, and what to say.
//!
//! Pure functions on text. It reads no clock, no store and no network, draws no random number, and so gives the same
//! answer to the same message for ever; it is what is left when everything else is down.
//!
//! # The rules
//!
//! A message is cut into clauses and words. Words match whole, in the inflections that [`form`] knows, in English and
//! Spanish, with or without accents.
//!
//! 1. **A risky word asks for its action** wherever it stands in a clause: `MEDIUM` or `HIGH` as [`verbs`] lists.
//!    Anything that would stop, restart or suspend madre or tentaculo, or everything, is `HIGH`; starting a service is
//!    `MEDIUM`, because it is really done.
//! 2. **Except** in a question *about* the action ("how do I delete …?", "¿cómo borro …?"; "can you delete …?" is a
//!    request), directly after a negation ("do not delete", "no borres"), in a set phrase ("stopped working"), and in what
//!    a requested piece of code is to do ("write a function that deletes …"). In doubt it counts.
//! 3. **`LOW` never acts.** It only reads and answers, so a message that is wrongly read as harmless harms nothing; and
//!    nothing else runs before a person has confirmed the plan.
//! 4. **Only what is exactly understood is automatic**: a service verb directly followed by services. The rest of a plan
//!    is for a person, and its result says so.

pub(crate) mod answer;
mod clause;
mod form;
mod intents;
mod text;
mod understanding;
mod verbs;

pub(crate) use answer::{Facts, answer};
pub(crate) use understanding::{Understanding, Work, understand};

/// The engine's name and version, as `model`.
pub(crate) const MODEL: &str = "madre-rules-1";
