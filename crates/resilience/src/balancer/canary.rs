//! Which sessions are a canary's.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Whether `session` is among the `percent` in a hundred that get the canary of `service`. The same session always is,
/// in every replica, while the percentage stays, and when it grows nobody leaves. Canaries of two services are not the
/// same sessions'.
pub fn is_canary(service: &str, session: &[u8], percent: u8) -> bool {
    match percent {
        0 => false,
        100.. => true,
        percent => xxh3_64_with_seed(session, xxh3_64(service.as_bytes())) % 100 < u64::from(percent),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn who_is_in_stays_when_it_grows(session: Vec<u8>, small in 0u8..=100, more in 0u8..=100) {
            let larger = small.saturating_add(more).min(100);
            prop_assert!(!is_canary("switch", &session, small) || is_canary("switch", &session, larger));
        }
    }

    #[test]
    fn it_is_about_the_share_that_was_asked_for_and_another_one_of_each_service() {
        let sessions = || (0..10_000).map(|n| format!("session-{n}"));
        let of = |service: &'static str| sessions().map(move |session| is_canary(service, session.as_bytes(), 20));
        let both = of("switch").zip(of("operator")).filter(|(switch, operator)| *switch && *operator).count();
        let switch = of("switch").filter(|is| *is).count();
        assert!((1_800..2_200).contains(&switch), "{switch}");
        assert!((300..500).contains(&both), "{both}");
    }

    #[test]
    fn a_session_stays_where_it_is_in_every_release() {
        let chosen: Vec<u8> = (0..40).filter(|n| is_canary("switch", &[*n], 10)).collect();
        assert_eq!(chosen, [6, 21]);
    }
}
