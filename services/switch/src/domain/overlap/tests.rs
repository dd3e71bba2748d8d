use proptest::prelude::*;

use super::*;

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// What the caller has in the end, the new text coming unit by unit.
fn joined(delivered: &str, mut overlap: Overlap, new: &str) -> String {
    let mut caller = units(delivered);
    for unit in units(new) {
        caller.extend(overlap.feed(&[unit]).expect("it goes on"));
    }
    caller.extend(overlap.settle().expect("it goes on"));
    String::from_utf16_lossy(&caller)
}

/// What is sent of `new` when it is told apart as another answer; it comes in pieces of `cuts`.
fn diverged(mut overlap: Overlap, new: &[u16], cuts: &[usize]) -> Option<Vec<u16>> {
    let (mut sent, mut rest) = (Vec::new(), new);
    for cut in cuts.iter().cycle() {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        match overlap.feed(piece) {
            Ok(new) => sent.extend(new),
            Err(Diverged) => return Some(sent),
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    overlap.settle().is_err().then_some(sent)
}

const SAID: &str = "The quick brown fox jumps over";

#[test]
fn a_text_that_is_given_back_is_not_sent_twice() {
    let prefill = || Overlap::of_prefill(units(SAID), 0);
    assert_eq!(joined(SAID, prefill(), " the dog"), "The quick brown fox jumps over the dog");
    assert_eq!(joined(SAID, prefill(), &format!("{SAID} the dog")), "The quick brown fox jumps over the dog");
    assert_eq!(joined(SAID, prefill(), " The quick one"), "The quick brown fox jumps over The quick one");
    assert_eq!(joined(SAID, prefill(), "The quick"), "The quick brown fox jumps overThe quick", "not all of it");
}

#[test]
fn an_answer_that_begins_anew_and_goes_on_in_other_words_is_another_one() {
    for new in ["The quick brown cat", "The quick brown f"] {
        assert_eq!(diverged(Overlap::of_prefill(units(SAID), 0), &units(new), &[1]), Some(Vec::new()), "{new}");
    }
    assert_eq!(diverged(Overlap::of_instruction(units(SAID)), &units("The quick brown cat"), &[1]), None);
    let refrain = "| a | b |\n|---|---|\n".repeat(4);
    let next = "| a | b |\n| 1 | 2 |\n";
    assert_eq!(joined(&refrain, Overlap::of_prefill(units(&refrain), 0), next), format!("{refrain}{next}"));
}

#[test]
fn last_words_that_are_repeated_are_not_sent_twice() {
    let told = || Overlap::of_instruction(units(SAID));
    for new in [" the dog", "brown fox jumps over the dog", "The quick brown fox jumps over the dog"] {
        assert_eq!(joined(SAID, told(), new), "The quick brown fox jumps over the dog");
    }
    assert_eq!(joined(SAID, told(), "jumps over it"), "The quick brown fox jumps overjumps over it", "too short");
    let longest = "abcabcabcabcabcabcabcabc";
    let overlap = Overlap::of_instruction(units(longest));
    assert_eq!(joined(longest, overlap, &format!("{longest}!")), format!("{longest}!"), "the longest one counts");
}

#[test]
fn white_space_that_the_model_was_not_shown_comes_once() {
    for new in ["  two", " two", "two"] {
        assert_eq!(joined("one  ", Overlap::of_prefill(units("one  "), 2), new), "one  two", "{new:?}");
    }
    assert_eq!(joined("one\n", Overlap::of_prefill(units("one\n"), 1), "\n\ntwo"), "one\n\ntwo");
}

proptest! {
    #[test]
    fn whatever_is_repeated_the_caller_has_the_text_once(
        said in "[a-z ]{16,80}",
        from in any::<usize>(),
        more in "[0-9][a-z0-9 ]{0,40}",
        cuts in prop::collection::vec(1usize..9, 1..20),
    ) {
        let delivered = units(&said);
        let from = from % (delivered.len() - SHORTEST + 1);
        let new: Vec<u16> = delivered[from..].iter().copied().chain(units(&more)).collect();
        let mut overlap = Overlap::of_instruction(delivered.clone());
        let mut caller = delivered;
        let mut rest = new.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            caller.extend(overlap.feed(piece).expect("it goes on"));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        caller.extend(overlap.settle().expect("it goes on"));
        prop_assert_eq!(String::from_utf16_lossy(&caller), format!("{said}{more}"));
    }

    #[test]
    fn a_prefill_that_is_not_heeded_is_laid_over_the_text_or_told_apart(
        said in "[a-z ]{16,200}",
        until in any::<usize>(),
        more in "[0-9][a-z0-9 ]{0,40}",
        cuts in prop::collection::vec(1usize..9, 1..20),
    ) {
        let delivered = units(&said);
        let until = until % (delivered.len() + 1);
        let new: Vec<u16> = delivered[..until].iter().copied().chain(units(&more)).collect();
        let overlap = || Overlap::of_prefill(delivered.clone(), 0);
        if until >= SHORTEST.max(SURE.min(delivered.len() / 2)) && until < delivered.len() {
            prop_assert_eq!(diverged(overlap(), &new, &cuts), Some(Vec::new()));
        } else {
            // All of it is repeated, or too little to tell.
            let rest = if until == delivered.len() { more } else { String::from_utf16_lossy(&new) };
            prop_assert_eq!(joined(&said, overlap(), &String::from_utf16_lossy(&new)), format!("{said}{rest}"));
        }
    }

    #[test]
    fn nothing_that_is_new_is_ever_lost(said in "[ab]{0,40}", new in "[ab]{0,40}") {
        let has = joined(&said, Overlap::of_instruction(units(&said)), &new);
        prop_assert!(has.starts_with(&said));
        let dropped = said.len() + new.len() - has.len();
        prop_assert!(said.ends_with(&new[..dropped]) && has.ends_with(&new[dropped..]));
    }
}
