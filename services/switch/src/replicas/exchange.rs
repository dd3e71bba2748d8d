//! One exchange: what is news here is told, and what the others said is heard.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vx11_resilience::{News, Verdict};

use super::Replicas;
use super::script::WORDS;
use super::word::{Said, Word, breaker_field, breaker_of, key_field};
use crate::domain::keys::KeyState;
use crate::providers::{Keys, ModelLive, Provider};

/// How long it is said that a breaker has closed: until every replica has heard it.
const CLOSED_FOR: Duration = Duration::from_secs(60);
/// How long the others leave a key alone that its replica leaves alone until its configuration is read again. They then
/// try it once themselves.
const DEAD_FOR: Duration = Duration::from_secs(10 * 60);

/// What is told.
#[derive(Debug)]
struct Telling<'k> {
    field: String,
    /// `None`: what was said is taken back.
    word: Option<Word>,
    /// How long ago it was found out.
    age: Duration,
    of: Subject<'k>,
}

#[derive(Debug)]
enum Subject<'k> {
    Breaker(Arc<ModelLive>, News),
    Key(&'k Keys, usize, KeyState),
}

impl Replicas {
    /// Tells and hears, as far as Redis answers.
    pub(super) async fn exchange(&self, providers: &[Arc<Provider>]) {
        let number = rand::random();
        let tellings: Vec<Telling<'_>> = providers.iter().flat_map(|provider| news(provider, number)).collect();
        let arguments = tellings.iter().flat_map(Telling::arguments).collect();
        let answer = self.redis.run::<Vec<String>>(&self.exchange, vec![WORDS.to_owned()], arguments).await;
        let Ok(answer) = answer else { return };
        for telling in &tellings {
            telling.was_told(number);
        }
        let words = words(&answer);
        for (field, word) in &words {
            let Some((identity, model)) = breaker_of(field) else { continue };
            if let Some(provider) = providers.iter().find(|provider| provider.identity() == identity) {
                hear_breaker(provider, model, *word);
            }
        }
        for provider in providers {
            if let Some(keys) = provider.keys() {
                hear_keys(provider, keys, &words);
            }
        }
    }
}

impl Telling<'_> {
    fn arguments(&self) -> [String; 4] {
        let (text, ms) = self.word.map_or_else(|| (String::new(), "0".to_owned()), Word::write);
        [self.field.clone(), text, ms, self.age.as_millis().to_string()]
    }

    fn was_told(&self, number: u64) {
        match &self.of {
            Subject::Breaker(live, news) => live.breaker.told(*news, number),
            Subject::Key(keys, key, state) => keys.told(*key, *state),
        }
    }
}

/// What the others do not know of `provider`.
fn news(provider: &Provider, number: u64) -> Vec<Telling<'_>> {
    let mut tellings = Vec::new();
    for live in provider.live.models() {
        let Some(news) = live.breaker.news() else { continue };
        let (said, left) = match news.verdict {
            Verdict::Open(left) => (Said::Open, left),
            Verdict::Closed => (Said::Closed, CLOSED_FOR),
        };
        let word = Some(Word { number, said, left });
        let (field, age) = (breaker_field(provider, &live.name), news.age);
        tellings.push(Telling { field, word, age, of: Subject::Breaker(live, news) });
    }
    let Some(keys) = provider.keys() else { return tellings };
    let now = Instant::now();
    for (key, state) in keys.news() {
        let word = |said, until: Instant| Some(Word { number, said, left: until.saturating_duration_since(now) });
        let word = match state {
            KeyState::Alive => None,
            KeyState::Resting(until) => word(Said::Resting, until),
            KeyState::Dead(until) => word(Said::Dead, until.unwrap_or(now + DEAD_FOR)),
        };
        let field = key_field(provider, keys, key);
        tellings.push(Telling { field, word, age: Duration::ZERO, of: Subject::Key(keys, key, state) });
    }
    tellings
}

/// The words of an answer, by their names.
fn words(answer: &[String]) -> HashMap<&str, Word> {
    let (words, _) = answer.as_chunks();
    words.iter().filter_map(|[field, text, ms]| Some((field.as_str(), Word::read(text, ms)?))).collect()
}

fn hear_breaker(provider: &Provider, model: &str, word: Word) {
    let verdict = match word.said {
        Said::Open => Verdict::Open(word.left),
        Said::Closed => Verdict::Closed,
        Said::Resting | Said::Dead => return,
    };
    if !provider.live.hear(model, word.number, verdict) {
        return;
    }
    let provider = &provider.name;
    match verdict {
        Verdict::Open(_) => tracing::warn!(provider, model, "circuit breaker opened; another replica's did"),
        Verdict::Closed => tracing::info!(provider, model, "circuit breaker closed; another replica's did"),
    }
}

fn hear_keys(provider: &Provider, keys: &Keys, words: &HashMap<&str, Word>) {
    let now = Instant::now();
    for key in 0..keys.count() {
        let word = words.get(key_field(provider, keys, key).as_str());
        let state = match word {
            Some(Word { said: Said::Resting, left, .. }) => KeyState::Resting(now + *left),
            Some(Word { said: Said::Dead, left, .. }) => KeyState::Dead(Some(now + *left)),
            Some(_) | None => KeyState::Alive,
        };
        if keys.hear(key, state) {
            let (provider, variable) = (&provider.name, keys.variable(key));
            tracing::warn!(provider, variable, "a key is left alone; another replica was refused with it");
        }
    }
}
