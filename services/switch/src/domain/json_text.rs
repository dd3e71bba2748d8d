//! Text as JSON has it: a sequence of UTF-16 code units.
//!
//! A provider may end a chunk between the two escapes of one character, and two providers may escape the same character
//! differently. What was delivered is therefore kept as it stood between its quotes, where pieces can simply be joined,
//! and compared unit by unit.

/// The code units of a JSON string, given without its quotes.
pub(crate) fn units(body: &str) -> Vec<u16> {
    let mut units = Vec::with_capacity(body.len());
    let mut rest = body.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
            continue;
        }
        units.push(match rest.next() {
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('n') => 0x0a,
            Some('r') => 0x0d,
            Some('t') => 0x09,
            Some('u') => {
                let Some((digits, after)) = rest.as_str().split_at_checked(4) else { break };
                rest = after.chars();
                u16::from_str_radix(digits, 16).unwrap_or(char::REPLACEMENT_CHARACTER as u16)
            }
            // A quote, a slash or a backslash. Anything else is no JSON, and was refused when it was read.
            Some(escaped) => escaped as u16,
            None => break,
        });
    }
    units
}

/// The JSON string of these code units, quotes included.
pub(crate) fn quoted(units: &[u16]) -> String {
    let mut out = String::with_capacity(units.len() + 2);
    out.push('"');
    for character in char::decode_utf16(units.iter().copied()) {
        match character {
            Ok('"') => out.push_str("\\\""),
            Ok('\\') => out.push_str("\\\\"),
            Ok('\n') => out.push_str("\\n"),
            Ok(control @ '\0'..' ') => push_escape(&mut out, control as u16),
            Ok(character) => out.push(character),
            Err(half) => push_escape(&mut out, half.unpaired_surrogate()),
        }
    }
    out.push('"');
    out
}

/// The text of these code units for a reader of whole characters: half a character at the end is left out.
pub(crate) fn whole_characters(units: &[u16]) -> String {
    match units {
        [whole @ .., 0xd800..=0xdbff] => String::from_utf16_lossy(whole),
        whole => String::from_utf16_lossy(whole),
    }
}

/// Whether the units end in the middle of a character.
pub(crate) fn ends_within_a_character(units: &[u16]) -> bool {
    matches!(units, [.., 0xd800..=0xdbff])
}

fn push_escape(out: &mut String, unit: u16) {
    use std::fmt::Write as _;
    // A string takes whatever is written to it.
    let _ = write!(out, "\\u{unit:04x}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(quoted: &str) -> &str {
        &quoted[1..quoted.len() - 1]
    }

    #[test]
    fn escapes_stand_for_their_characters() {
        let escaped = units(r#"\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00é😀"#);
        let plain: Vec<u16> = "\"\\/\u{8}\u{c}\n\r\tA\u{e9}😀é😀".encode_utf16().collect();
        assert_eq!(escaped, plain);
    }

    #[test]
    fn half_a_character_is_kept_and_can_be_left_out() {
        let half = units(r"ok\ud83d");
        assert_eq!(quoted(&half), r#""ok\ud83d""#);
        assert!(ends_within_a_character(&half));
        assert_eq!(whole_characters(&half), "ok");
        assert_eq!(units(r"\ud83d\ude00"), [units(r"\ud83d"), units(r"\ude00")].concat());
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(any in prop::collection::vec(any::<u16>(), 0..40)) {
            prop_assert_eq!(units(body(&quoted(&any))), any);
        }

        #[test]
        fn text_is_read_as_serde_reads_it(text in any::<String>()) {
            let json = serde_json::to_string(&text).expect("serialises");
            let expected: Vec<u16> = text.encode_utf16().collect();
            prop_assert_eq!(units(body(&json)), expected.clone());
            prop_assert_eq!(serde_json::from_str::<String>(&quoted(&expected)).expect("JSON"), text);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[\\\\ud8a-f0-9é😀\"n]{0,30}") {
            units(&text);
        }
    }
}
