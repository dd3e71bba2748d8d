//! Which pilot a request suits best, and why.

use vx11_contracts::intervention::{Intervention, PilotScore, Role, ScorePart};

use super::permission;

/// A pilot, as far as routing looks at them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) pilot_id: String,
    pub(crate) role: Role,
    /// Intervention types, names of actions and words of their own that the pilot is good at, in lower case.
    pub(crate) skills: Vec<String>,
    /// Requests of this type that the pilot decided before they expired.
    pub(crate) decided: u64,
    /// Of all that came to them, those too that expired.
    pub(crate) received: u64,
    /// Requests that the pilot has claimed or is meant to decide now.
    pub(crate) open: u64,
    /// The hours of the day in UTC in which the pilot works, from the first up to and without the second; over midnight
    /// where the first is greater. Any time where absent.
    pub(crate) hours: Option<(u8, u8)>,
}

/// How much each part counts. They need not add up to one; the score is their weighted mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weights {
    pub(crate) skills: f64,
    pub(crate) history: f64,
    pub(crate) load: f64,
    pub(crate) hours: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { skills: 0.35, history: 0.2, load: 0.25, hours: 0.2 }
    }
}

/// Those who may decide `request`, the best first, at `hour` of the day in UTC. Of equals, the first by name.
pub(crate) fn ranked(request: &Intervention, candidates: &[Candidate], hour: u8, weights: &Weights) -> Vec<PilotScore> {
    let able = candidates.iter().filter(|candidate| may(request, candidate));
    let mut ranked: Vec<PilotScore> = able.map(|candidate| score(request, candidate, hour, weights)).collect();
    ranked.sort_by(|one, other| other.score.total_cmp(&one.score).then_with(|| one.pilot_id.cmp(&other.pilot_id)));
    ranked
}

fn may(request: &Intervention, candidate: &Candidate) -> bool {
    let actor = super::Actor::new(candidate.pilot_id.clone(), candidate.role);
    permission::may_decide(request, &actor).is_ok()
}

fn score(request: &Intervention, candidate: &Candidate, hour: u8, weights: &Weights) -> PilotScore {
    let parts = vec![
        part("skills", weights.skills, skills(request, candidate)),
        part("history", weights.history, history(candidate)),
        part("load", weights.load, load(candidate)),
        part("hours", weights.hours, hours(candidate, hour)),
    ];
    let total: f64 = parts.iter().map(|part| part.weight).sum();
    let sum: f64 = parts.iter().map(|part| part.weight * part.value).sum();
    let score = if total > 0.0 { sum / total } else { 0.0 };
    PilotScore { pilot_id: candidate.pilot_id.clone(), score, parts }
}

fn part(name: &str, weight: f64, (value, reason): (f64, String)) -> ScorePart {
    ScorePart { name: name.to_owned(), weight: weight.max(0.0), value, reason }
}

fn skills(request: &Intervention, candidate: &Candidate) -> (f64, String) {
    let action = request.action.as_ref().map(|action| action.name.to_lowercase());
    let wanted = [Some(request.intervention_type.as_str()), action.as_deref()];
    let wanted: Vec<&str> = wanted.into_iter().flatten().collect();
    let knows = |word: &&str| candidate.skills.iter().any(|skill| skill == word);
    let known: Vec<&str> = wanted.iter().copied().filter(knows).collect();
    if known.is_empty() {
        return (0.0, format!("knows none of {}", wanted.join(", ")));
    }
    (share(known.len() as u64, wanted.len() as u64), format!("knows {} of {}", known.join(", "), wanted.join(", ")))
}

/// The share of requests that were decided in time, drawn towards a half while there are few.
fn history(candidate: &Candidate) -> (f64, String) {
    let Candidate { decided, received, .. } = candidate;
    let reason = match received {
        0 => "decided none of this type yet".to_owned(),
        _ => format!("decided {decided} of {received} of this type in time"),
    };
    (share(decided.min(received) + 1, received + 2), reason)
}

/// 1 for nothing to do, a half for one request, and so on.
fn load(candidate: &Candidate) -> (f64, String) {
    (share(1, candidate.open.saturating_add(1)), format!("has {} open", candidate.open))
}

fn hours(candidate: &Candidate, hour: u8) -> (f64, String) {
    let Some((from, until)) = candidate.hours else {
        return (1.0, "works at any time".to_owned());
    };
    let works = if from <= until { (from..until).contains(&hour) } else { hour >= from || hour < until };
    let (value, verb) = if works { (1.0, "works") } else { (0.0, "does not work") };
    (value, format!("{verb} at {hour}:00 UTC; works {from}:00 to {until}:00"))
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn share(of: u64, to: u64) -> f64 {
    of as f64 / to as f64
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{create, request};
    use super::*;

    fn candidate(name: &str) -> Candidate {
        Candidate {
            pilot_id: name.to_owned(),
            role: Role::Operator,
            skills: Vec::new(),
            decided: 0,
            received: 0,
            open: 0,
            hours: None,
        }
    }

    fn order(candidates: &[Candidate]) -> Vec<String> {
        let ranked = ranked(&request(create()), candidates, 3, &Weights::default());
        ranked.into_iter().map(|score| score.pilot_id).collect()
    }

    #[test]
    fn each_part_makes_the_better_pilot_the_first() {
        let better = [
            Candidate { skills: vec!["deploy".to_owned()], ..candidate("zoe") },
            Candidate { decided: 9, received: 9, ..candidate("zoe") },
        ];
        for better in better {
            assert_eq!(order(&[candidate("ana"), better]), ["zoe", "ana"]);
        }
        let worse = [
            Candidate { open: 3, ..candidate("ana") },
            Candidate { received: 9, ..candidate("ana") },
            Candidate { hours: Some((9, 17)), ..candidate("ana") },
        ];
        for worse in worse {
            assert_eq!(order(&[worse, candidate("zoe")]), ["zoe", "ana"]);
        }
        assert_eq!(order(&[candidate("zoe"), candidate("ana")]), ["ana", "zoe"], "equals");
    }

    #[test]
    fn who_may_not_decide_is_not_asked() {
        let viewer = Candidate { role: Role::Viewer, ..candidate("eve") };
        assert_eq!(order(&[viewer]), [""; 0]);
    }

    #[test]
    fn a_score_says_why() {
        let ana = Candidate {
            skills: vec!["deploy".to_owned()],
            decided: 7,
            received: 8,
            open: 1,
            hours: Some((22, 6)),
            ..candidate("ana")
        };
        let score = ranked(&request(create()), &[ana], 3, &Weights::default()).remove(0);
        let parts: Vec<_> = score.parts.iter().map(|part| (part.name.as_str(), part.value, &*part.reason)).collect();
        let expected = [
            ("skills", 0.5, "knows deploy of approval, deploy"),
            ("history", 0.8, "decided 7 of 8 of this type in time"),
            ("load", 0.5, "has 1 open"),
            ("hours", 1.0, "works at 3:00 UTC; works 22:00 to 6:00"),
        ];
        assert_eq!(parts, expected);
        assert!((score.score - 0.66).abs() < 1e-9, "{}", score.score);
    }
}
