//! The words that ask for an action, each with its risk and, where there is one, what the power driver does for it.

use vx11_contracts::madre::Risk;

use super::form::Form::{self, Ar, En, Er, Is};
use crate::services::ServiceAction;

/// A word that asks for an action.
#[derive(Debug)]
pub(super) struct Verb {
    /// The word as plans name it.
    pub(super) name: &'static str,
    /// How much harm it could do.
    pub(super) risk: Risk,
    /// What the driver does for it, to the services that follow it.
    pub(super) power: Option<ServiceAction>,
    /// The intent it makes.
    pub(super) intent: &'static str,
    /// Whether it keeps a service from running, for good or for a moment.
    pub(super) interrupts: bool,
    forms: &'static [Form],
    phrases: &'static [&'static [Form]],
}

const fn high(name: &'static str, intent: &'static str, forms: &'static [Form]) -> Verb {
    Verb { name, risk: Risk::High, power: None, intent, interrupts: false, forms, phrases: &[] }
}

const fn medium(name: &'static str, intent: &'static str, forms: &'static [Form]) -> Verb {
    Verb { risk: Risk::Medium, ..high(name, intent, forms) }
}

const STOP: Option<ServiceAction> = Some(ServiceAction::Stop);
const RESTART: Option<ServiceAction> = Some(ServiceAction::Restart);

/// Every such word; the first that matches counts.
pub(super) const VERBS: &[Verb] = &[
    Verb {
        power: STOP,
        interrupts: true,
        phrases: &[
            &[Is("shut"), Is("down")],
            &[Is("shuts"), Is("down")],
            &[Is("shutting"), Is("down")],
            &[Is("turn"), Is("off")],
            &[Is("switch"), Is("off")],
            &[Is("power"), Is("off")],
            &[Is("take"), Is("down")],
        ],
        ..high(
            "stop",
            "stop_service",
            &[
                En("stop"),
                En("stopp"),
                En("halt"),
                En("shutdown"),
                Er("deten"),
                Er("deteng"),
                Is("detente"),
                Er("detien"),
                Er("detuv"),
                Ar("apag"),
                Ar("apagu"),
                Is("pare"),
                Is("paren"),
                Is("paremos"),
                Is("parar"),
                Is("pararlo"),
                Is("pararla"),
                Is("pararlos"),
                Is("pararlas"),
                Is("paralo"),
                Is("parala"),
                Is("paralos"),
                Is("paralas"),
                Is("parado"),
                Is("parada"),
                Is("parados"),
                Is("parando"),
                Is("parad"),
            ],
        )
    },
    Verb {
        power: STOP,
        interrupts: true,
        ..high(
            "kill",
            "stop_service",
            &[
                En("kill"),
                Is("matar"),
                Is("mata"),
                Is("maten"),
                Is("matarlo"),
                Is("matarla"),
                Is("matalo"),
                Is("matala"),
                Is("matando"),
            ],
        )
    },
    Verb { power: STOP, interrupts: true, ..high("terminate", "stop_service", &[En("terminat"), Ar("termin")]) },
    high(
        "delete",
        "remove",
        &[
            En("delet"),
            En("remov"),
            Is("removal"),
            Is("erase"),
            Is("erases"),
            Is("erased"),
            Is("erasing"),
            En("wip"),
            En("purg"),
            En("truncat"),
            En("eliminat"),
            Ar("borr"),
            Ar("elimin"),
            Er("suprim"),
            Ar("purg"),
            Ar("purgu"),
        ],
    ),
    high("drop", "remove", &[En("drop"), En("dropp")]),
    high("destroy", "remove", &[En("destroy"), En("destruct"), Er("destru"), Er("destruy"), Is("destruccion")]),
    high("reset", "remove", &[En("reset"), En("resett"), Ar("resete"), Er("restablec"), Er("restablezc")]),
    high("migrate", "maintain", &[En("migrat"), Ar("migr")]),
    high("restore", "maintain", &[En("restor"), Ar("restaur")]),
    Verb {
        power: RESTART,
        interrupts: true,
        ..medium("restart", "restart_service", &[En("restart"), Ar("reinici"), Ar("rearranc"), Ar("rearranqu")])
    },
    Verb { power: RESTART, interrupts: true, ..medium("reboot", "restart_service", &[En("reboot"), Ar("reboote")]) },
    Verb {
        interrupts: true,
        ..medium("suspend", "maintain", &[En("suspend"), Is("suspension"), Er("suspend"), En("paus"), Ar("paus")])
    },
    Verb {
        phrases: &[&[En("clean"), Is("up")]],
        ..medium("cleanup", "maintain", &[En("cleanup"), Ar("limpi"), Is("limpieza")])
    },
    medium("patch", "maintain", &[En("patch"), Is("parche"), Is("parches"), Ar("parche")]),
    medium("update", "maintain", &[En("updat"), En("upgrad"), Ar("actualiz"), Ar("actualic")]),
    START,
];

/// Not risky by itself; with a service after it, it really starts it.
const START: Verb = Verb {
    power: Some(ServiceAction::Start),
    phrases: &[&[Is("turn"), Is("on")], &[Is("switch"), Is("on")], &[Is("bring"), Is("up")]],
    ..medium(
        "start",
        "start_service",
        &[
            En("start"),
            En("launch"),
            Ar("arranc"),
            Ar("arranqu"),
            Ar("inici"),
            Er("enciend"),
            Er("encend"),
            Ar("levant"),
        ],
    )
};

/// Set phrases in which such a word asks for nothing.
const HARMLESS: &[&[Form]] = &[
    &[Is("stopped"), En("work")],
    &[Is("stopped"), En("answer")],
    &[Is("stopped"), En("respond")],
    &[Is("has"), Is("stopped")],
    &[Is("stop"), En("sequenc")],
    &[Is("stop"), En("token")],
    &[Is("stop"), En("word")],
    &[Is("status"), En("updat")],
    &[Is("an"), Is("update")],
    &[Is("any"), En("updat")],
    &[Is("latest"), En("updat")],
    &[Is("update"), Is("me")],
];

impl Verb {
    /// How many words it takes up at the start of `words`, when it stands there.
    fn length_in(&self, words: &[&str]) -> Option<usize> {
        let phrase = self.phrases.iter().find(|phrase| stands_in(phrase, words)).map(|phrase| phrase.len());
        phrase
            .or_else(|| self.forms.iter().any(|form| words.first().is_some_and(|word| form.matches(word))).then_some(1))
    }

    /// Whether it asks for nothing unless a service follows.
    pub(super) fn needs_service(&self) -> bool {
        self.power == Some(ServiceAction::Start)
    }
}

/// The verb at the start of `words` and how many words it takes up.
pub(super) fn verb_at(words: &[&str]) -> Option<(&'static Verb, usize)> {
    VERBS.iter().find_map(|verb| Some((verb, verb.length_in(words)?)))
}

/// How many words a set phrase at the start of `words` takes up.
pub(super) fn harmless_at(words: &[&str]) -> Option<usize> {
    HARMLESS.iter().find(|phrase| stands_in(phrase, words)).map(|phrase| phrase.len())
}

/// The verb "stop", for the one word that only its place tells from a preposition.
pub(super) fn stop() -> &'static Verb {
    &VERBS[0]
}

fn stands_in(phrase: &[Form], words: &[&str]) -> bool {
    words.len() >= phrase.len() && phrase.iter().zip(words).all(|(form, word)| form.matches(word))
}
