//! The replicas that are equal but for where they are, and the choice of one of them.

use std::sync::Arc;

use super::{Choice, Replica};

/// How much of its share of a zone's requests a replica is thought to bear, in per cent.
const BEARS_PERCENT: usize = 140;

/// Those for everybody, or those of a canary.
pub(super) struct Side<T> {
    /// In the caller's own zone; all of them where zones do not tell them apart.
    near: Vec<Arc<Replica<T>>>,
    far: Vec<Arc<Replica<T>>>,
}

impl<T> Side<T> {
    pub(super) fn new(replicas: Vec<Arc<Replica<T>>>, zone: Option<&str>) -> Self {
        let is_near = |replica: &Arc<Replica<T>>| zone.is_some() && replica.zone.as_deref() == zone;
        let (near, far): (Vec<_>, Vec<_>) = replicas.into_iter().partition(is_near);
        if near.is_empty() { Self { near: far, far: near } } else { Self { near, far } }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Replica<T>>> {
        self.near.iter().chain(&self.far)
    }

    pub(super) fn len(&self) -> usize {
        self.near.len() + self.far.len()
    }

    /// One that is well, near where there are enough of them; another one than `besides`.
    pub(super) fn well(&self, besides: Option<&Choice<T>>, draw: u64) -> Option<&Arc<Replica<T>>> {
        let fits = |replica: &&Arc<Replica<T>>| replica.is_well() && !besides.is_some_and(|other| other.is(replica));
        let near = || least(|| self.near.iter().filter(fits), draw);
        let far = || least(|| self.far.iter().filter(fits), draw);
        let left = self.near.iter().filter(|replica| replica.is_well()).count();
        let is_enough = left * BEARS_PERCENT > (draw >> 48) as usize % 100 * self.near.len();
        if is_enough { near().or_else(far) } else { far().or_else(near) }
    }

    /// One that need not be well, wherever it is; another one than `besides`.
    pub(super) fn any(&self, besides: Option<&Choice<T>>, draw: u64) -> Option<&Arc<Replica<T>>> {
        least(|| self.all().filter(|replica| !besides.is_some_and(|other| other.is(replica))), draw)
    }
}

/// Of two that chance picks among these, the one with fewer requests under way.
fn least<'r, T: 'r, Fitting>(fitting: impl Fn() -> Fitting, draw: u64) -> Option<&'r Arc<Replica<T>>>
where
    Fitting: Iterator<Item = &'r Arc<Replica<T>>>,
{
    let many = fitting().count() as u64;
    let first = draw.checked_rem(many)?;
    // Another place than the first.
    let second = (first + 1 + (draw >> 24).checked_rem(many - 1).unwrap_or(0)) % many;
    // Others may be counted out in the meantime.
    let at = |place: u64| fitting().nth(place as usize);
    let first = at(first).or_else(|| at(0))?;
    match at(second) {
        Some(second) if second.outstanding() < first.outstanding() => Some(second),
        _ => Some(first),
    }
}
