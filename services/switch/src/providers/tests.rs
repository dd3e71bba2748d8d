use super::*;

#[test]
fn a_chat_has_limits_of_its_own_and_a_probe_keeps_nobody_away_for_minutes() {
    let seconds = Duration::from_secs;
    let limits = Limits {
        connect: seconds(1),
        answer: seconds(600),
        first: seconds(60),
        chat: (seconds(15), seconds(14)),
        idle: seconds(15),
        is_hurried: false,
        stream: seconds(1800),
    };
    let of = |wishes: Wishes| (limits.within(&wishes).answer, limits.within(&wishes).first);
    assert_eq!(of(Wishes::default()), (seconds(600), seconds(60)));
    assert_eq!(of(Wishes { is_chat: true, ..Wishes::default() }), (seconds(15), seconds(14)));
    assert_eq!(limits.probe(), seconds(30));
    assert_eq!(Limits { answer: seconds(2), first: seconds(1), ..limits }.probe(), seconds(2), "it is known sooner");
}
