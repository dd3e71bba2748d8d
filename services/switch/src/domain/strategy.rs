//! In which order the targets of one model are asked for one request.
//!
//! Conditions leave out targets that are not for this request, as do those that cannot do what it asks for; the
//! strategy chooses the first of the rest, and the others follow as fallbacks. A canary goes first for its share of
//! requests and is the last resort for all others. Chance is handed in: a sticky model draws from its session, so that
//! a conversation stays where it began.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How the first target is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// As listed.
    #[default]
    Ordered,
    /// By chance, as often as its weight says.
    Weighted,
    /// The one of two, drawn by chance, that is expected to answer sooner ("power of two choices").
    LeastLatency,
    /// The one of the lowest price; those without a price come last.
    Cheapest,
}

/// How the targets of one model are chosen from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    /// Whether a session keeps its target.
    pub(crate) sticky: bool,
    /// One for each target, in their order.
    pub(crate) choices: Vec<Choice>,
}

/// What is known of one target beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// `provider/model`.
    pub(crate) name: String,
    /// How often it is chosen, beside the others.
    pub(crate) weight: u32,
    /// Its price, in whatever all prices of the model are in.
    pub(crate) price: Option<f64>,
    /// In a hundred requests, how many it is tried out with.
    pub(crate) canary: Option<u8>,
    /// Which requests it is for.
    pub(crate) when: Condition,
}

/// Which requests a target is for: those to which all of this applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Headers and their values.
    pub(crate) headers: Vec<(String, String)>,
    /// Entries of the body's `metadata`.
    pub(crate) tags: Vec<(String, String)>,
    /// Bytes of the body, at least.
    pub(crate) min_bytes: usize,
    /// Bytes of the body, at most.
    pub(crate) max_bytes: Option<usize>,
    /// Organisations; none: any.
    pub(crate) orgs: Vec<String>,
}

/// What a request says about itself. Only what a plan asks for is looked up.
pub(crate) struct Asker<'a> {
    /// The value of a header.
    pub(crate) header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The value of an entry of `metadata`.
    pub(crate) tag: &'a dyn Fn(&str) -> Option<String>,
    /// Bytes of the body.
    pub(crate) bytes: usize,
    /// The organisation.
    pub(crate) org: Option<&'a str>,
    /// The conversation.
    pub(crate) session: &'a dyn Fn() -> Option<String>,
}

impl Plan {
    /// Whether the targets are asked as listed, whoever asks.
    pub(crate) fn is_plain(&self) -> bool {
        let plain = |choice: &Choice| choice.canary.is_none() && choice.when == Condition::default();
        self.strategy == Strategy::Ordered && self.choices.iter().all(plain)
    }

    /// The places of the targets to ask, first choice first, of those that are `able` to answer at all. `random` gives
    /// a number from 0 to below 1, another one each time; `cost` how long the target of this place is expected to take.
    pub(crate) fn order(
        &self,
        asker: &Asker<'_>,
        able: impl Fn(usize) -> bool,
        random: impl Fn() -> f64,
        cost: impl Fn(usize) -> Duration,
    ) -> Vec<usize> {
        let session = if self.sticky { (asker.session)() } else { None };
        let draw = |purpose: u64, name: &str| match &session {
            Some(session) => unit(xxh3_64_with_seed(name.as_bytes(), xxh3_64_with_seed(session.as_bytes(), purpose))),
            None => random(),
        };
        let fits = |place: &usize| able(*place) && self.choices[*place].when.holds(asker);
        let fitting = (0..self.choices.len()).filter(fits);
        let (canaries, mut order): (Vec<usize>, Vec<usize>) =
            fitting.partition(|place| self.choices[*place].canary.is_some());
        match self.strategy {
            Strategy::Ordered => {}
            Strategy::Cheapest => {
                let price = |place: &usize| self.choices[*place].price.unwrap_or(f64::INFINITY);
                order.sort_by(|a, b| price(a).total_cmp(&price(b)));
            }
            Strategy::LeastLatency if session.is_none() => {
                let first = of_two(&order, &random, &cost);
                order.sort_by_cached_key(|place| (Some(*place) != first, cost(*place)));
            }
            Strategy::Weighted | Strategy::LeastLatency => to_front(&mut order, |place| {
                // Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): the lowest score is drawn as often
                // as its weight says, and a session moves only when a target comes or goes that takes part in its draw.
                let choice = &self.choices[place];
                -draw(WEIGHT, &choice.name).max(f64::MIN_POSITIVE).ln() / f64::from(choice.weight)
            }),
        }
        let is_drawn = |place: &usize| {
            let choice = &self.choices[*place];
            choice.canary.is_some_and(|percent| draw(CANARY, &choice.name) * 100.0 < f64::from(percent))
        };
        let drawn = canaries.iter().copied().find(is_drawn);
        let rest = canaries.into_iter().filter(|place| Some(*place) != drawn);
        drawn.into_iter().chain(order).chain(rest).collect()
    }
}

/// What a number is drawn for, so that one session's draws do not depend on each other.
const WEIGHT: u64 = 1;
const CANARY: u64 = 2;

/// A hash as a number from 0 to below 1.
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// The cheaper one of two different places, drawn by chance.
fn of_two(places: &[usize], random: impl Fn() -> f64, cost: impl Fn(usize) -> Duration) -> Option<usize> {
    let pick = |count: usize| ((random() * count as f64) as usize).min(count.saturating_sub(1));
    let first = pick(places.len());
    let second = match pick(places.len().saturating_sub(1)) {
        other if other >= first => other + 1,
        other => other,
    };
    let (first, second) = (places.get(first), places.get(second));
    first.into_iter().chain(second).copied().min_by_key(|place| cost(*place))
}

/// Moves the place of the lowest score to the front; the others stay in order.
fn to_front(places: &mut [usize], score: impl Fn(usize) -> f64) {
    let scores = places.iter().map(|place| score(*place));
    if let Some((best, _)) = scores.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b)) {
        places[..=best].rotate_right(1);
    }
}

impl Condition {
    fn holds(&self, asker: &Asker<'_>) -> bool {
        asker.bytes >= self.min_bytes
            && self.max_bytes.is_none_or(|most| asker.bytes <= most)
            && (self.orgs.is_empty() || asker.org.is_some_and(|org| self.orgs.iter().any(|known| known == org)))
            && self.headers.iter().all(|(name, value)| (asker.header)(name) == Some(value))
            && self.tags.iter().all(|(name, value)| (asker.tag)(name).as_ref() == Some(value))
    }
}

#[cfg(test)]
mod tests;
