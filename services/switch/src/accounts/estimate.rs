//! How many tokens a text has, about: for reserving before a call, and for models whose vocabulary is not known.
//!
//! The tokenizers of today's models (cl100k, o200k and their like) first cut a text into pieces by one regular
//! expression, and only then merge the bytes of each piece: words with the space before them, digits in threes, runs of
//! punctuation, runs of white space. This walks the same pieces and counts what each is worth on average, in one pass
//! without allocating. A test holds it against the real o200k. What a provider does not report of a model whose vocabulary
//! is public is counted instead, once the call is over ([`crate::tokenizer`]).

/// Letters of a plain word that go into one token.
const WORD: u64 = 7;
/// Letters that a further token of a long word holds.
const WORD_REST: u64 = 4;
/// As these two, for scripts that are rarer in vocabularies than the Latin one.
const FOREIGN: u64 = 6;
const FOREIGN_REST: u64 = 3;
/// A run of so many letters and digits may be encoded data, such as an image.
const ENCODED: u64 = 400;
/// What an image counts, whatever its size.
pub(crate) const ATTACHMENT: u64 = 800;
/// Bytes of encoded data that count as a token, where it is small.
const DATA_BYTES: u64 = 4;
/// Fields of bodies that hold encoded data, and those that may hold it as an address.
const DATA: [&str; 5] = ["data", "b64_json", "file_data", "encrypted_content", "signature"];
const ADDRESSES: [&str; 3] = ["url", "image_url", "file_data"];
/// How far around data it is looked for what says that it is text.
const AROUND: usize = 256;

/// A kind of character, as far as cutting goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Latin,
    Digit,
    Foreign,
    /// Chinese, Japanese or Korean: nearly a token each.
    Dense,
    Symbol,
    Space,
}

/// Tokens in `text`, about; at least one where there is text.
pub(crate) fn tokens(text: &str) -> u64 {
    let mut count = Count::default();
    count.read(text);
    count.finish()
}

/// Tokens in a body of JSON, about: its marks cost about what a provider's own frame around messages costs.
pub(crate) fn tokens_in(body: &[u8]) -> u64 {
    let mut count = Count::default();
    for chunk in body.utf8_chunks() {
        count.read(chunk.valid());
    }
    count.finish()
}

/// The run at hand, and what came before it.
#[derive(Default)]
struct Count {
    tokens: u64,
    run: Option<Kind>,
    length: u64,
    /// Where the run began.
    from: usize,
    /// How long letters and digits have gone on, what they have counted so far, and where they began.
    unbroken: u64,
    unbroken_tokens: u64,
    unbroken_from: usize,
    /// Up to where it is known that what is unbroken is words.
    words_until: usize,
    /// Where the data ends that has just been counted.
    data_until: Option<usize>,
    has_any: bool,
}

impl Count {
    /// Takes in `text`. Every request with a limit on its tokens is read so: most of it is ASCII, and looked up by the run.
    fn read(&mut self, text: &str) {
        self.has_any |= !text.is_empty();
        self.words_until = 0;
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            let (kind, length) = match ASCII.get(first as usize) {
                Some(kind) => {
                    let is_alike = |byte: &&u8| ASCII.get(usize::from(**byte)) == Some(kind);
                    (*kind, text.as_bytes()[at..].iter().take_while(is_alike).count())
                }
                None => (kind(first), first.len_utf8()),
            };
            if self.run != Some(kind) {
                self.close(text);
                if let Some(end) = self.data_until.take() {
                    at = at.max(end);
                    continue;
                }
                (self.run, self.length, self.from) = (Some(kind), 0, at);
            }
            self.length += if first.is_ascii() { length as u64 } else { 1 };
            at += length;
        }
        self.close(text);
        self.end_unbroken(text);
        self.data_until = None;
    }

    fn close(&mut self, text: &str) {
        let Some(kind) = self.run.take() else { return };
        let length = self.length;
        let worth = match kind {
            Kind::Latin if length <= WORD => 1,
            Kind::Latin => 1 + (length - WORD).div_ceil(WORD_REST),
            Kind::Digit => length.div_ceil(3),
            Kind::Foreign if length <= FOREIGN => 1,
            Kind::Foreign => 1 + (length - FOREIGN).div_ceil(FOREIGN_REST),
            Kind::Dense => (length * 4).div_ceil(5),
            Kind::Symbol => length.div_ceil(2),
            // One space belongs to the word after it.
            Kind::Space => u64::from(length > 1),
        };
        if matches!(kind, Kind::Latin | Kind::Digit) || (kind == Kind::Symbol && length == 1 && self.unbroken > 0) {
            if self.unbroken == 0 {
                self.unbroken_from = self.from;
            }
            self.unbroken += length;
            self.unbroken_tokens += worth;
        } else {
            self.end_unbroken(text);
            self.tokens += worth;
        }
    }

    /// Letters and digits have come to an end. A long run of them is data where it stands in a field for that, and then
    /// so is all that the field holds; anywhere else it is words, whatever they look like.
    fn end_unbroken(&mut self, text: &str) {
        let (run, tokens) = (std::mem::take(&mut self.unbroken), std::mem::take(&mut self.unbroken_tokens));
        let from = self.unbroken_from;
        if run < ENCODED || from < self.words_until {
            self.tokens += tokens;
            return;
        }
        let start = text[..from].rfind('"').map_or(0, |quote| quote + 1);
        let end = text[from..].find('"').map_or(text.len(), |quote| from + quote);
        if is_data(text, start, end) {
            self.tokens += ((end - from) as u64 / DATA_BYTES).min(ATTACHMENT);
            self.data_until = Some(end);
        } else {
            self.tokens += tokens;
            self.words_until = end;
        }
    }

    fn finish(self) -> u64 {
        self.tokens.max(u64::from(self.has_any))
    }
}

/// Whether what stands from `start` to `end` is encoded data: an address that is its own content, or base64 in a field
/// for it. Of Anthropic's documents some are plain text in such a field.
fn is_data(text: &str, start: usize, end: usize) -> bool {
    let (before, value, after) = (&text[..start], &text[start..end], &text[end..]);
    let is_address = value.starts_with("data:") && value.find(";base64,").is_some_and(|place| place < AROUND);
    let Some(before) = before.strip_suffix('"') else { return is_address };
    let Some(field) = before.trim_ascii_end().strip_suffix(':') else { return false };
    let Some(field) = field.trim_ascii_end().strip_suffix('"') else { return false };
    let holds =
        |fields: &[&str]| fields.iter().any(|name| field.strip_suffix(name).is_some_and(|head| head.ends_with('"')));
    if is_address && holds(&ADDRESSES) {
        return true;
    }
    let says_text = |around: &[u8]| {
        [&b"\"text\""[..], b"\"text/"].iter().any(|text| around.windows(text.len()).any(|window| window == *text))
    };
    let (head, tail) = (field.as_bytes(), after.as_bytes());
    holds(&DATA)
        && !says_text(&head[head.len().saturating_sub(AROUND)..])
        && !says_text(&tail[..tail.len().min(AROUND)])
}

/// The kinds of ASCII's characters.
const ASCII: [Kind; 128] = {
    let mut kinds = [Kind::Symbol; 128];
    let mut byte = 0;
    while byte < 128 {
        kinds[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => Kind::Latin,
            b'0'..=b'9' => Kind::Digit,
            b' ' | b'\n' | b'\t' | b'\r' => Kind::Space,
            _ => Kind::Symbol,
        };
        byte += 1;
    }
    kinds
};

/// The kind of any other character.
fn kind(character: char) -> Kind {
    match character {
        // Letters with accents stand in words of plain ones.
        '\u{c0}'..='\u{24f}' => Kind::Latin,
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' => {
            Kind::Dense
        }
        '\u{1f000}'.. => Kind::Dense,
        other if other.is_alphanumeric() => Kind::Foreign,
        other if other.is_whitespace() => Kind::Space,
        _ => Kind::Symbol,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLES: &[(&str, &str)] = &[
        (
            "English",
            "The quick brown fox jumps over the lazy dog. Nobody has ever seen a provider that reports its usage \
            in every case, but most of them do; where one does not, a careful estimate has to be good enough for billing.",
        ),
        (
            "German",
            "Die Donaudampfschifffahrtsgesellschaft hat heute bekannt gegeben, dass ihre Schiffe wegen des niedrigen \
            Wasserstands vorläufig nicht mehr fahren können. Fahrgäste erhalten den vollen Preis zurück.",
        ),
        (
            "Portuguese",
            "O sistema precisa continuar funcionando mesmo quando nenhum provedor responde, e as decisões \
            importantes ficam sempre sob o controle de uma pessoa.",
        ),
        ("Russian", "Сегодня утром в городе было очень холодно, поэтому мы решили остаться дома и читать книги."),
        ("Chinese", "今天天气很好，我们决定去公园散步，然后在附近的一家小餐馆吃午饭。"),
        (
            "code",
            "fn add(&mut self, kind: Kind) {\n    if self.run == Some(kind) {\n        self.length += 1;\n        \
            return;\n    }\n    self.close();\n    self.run = Some(kind);\n}\n",
        ),
        (
            "JSON",
            r#"{"id": 48151, "name": "widget", "tags": ["red", "large"], "price": 19.99, "in_stock": true, "ref": null}"#,
        ),
        ("numbers", "Revenue was 1234567 in 2023, 89101112 in 2024 and 3.14159 times as much as 1999's."),
    ];

    #[test]
    fn it_is_close_to_what_the_real_tokenizer_counts() {
        let real = tiktoken_rs::o200k_base().expect("the vocabulary is part of the crate");
        let counted = SAMPLES.iter().map(|(name, text)| (*name, tokens(text), real.encode_ordinary(text).len()));
        let counted: Vec<(&str, u64, usize)> = counted.collect();
        let is_close = |(_, estimated, counted): &(&str, u64, usize)| {
            (0.75..=1.35).contains(&(*estimated as f64 / *counted as f64))
        };
        assert!(counted.iter().all(is_close), "(text, estimated, counted): {counted:?}");
    }

    #[test]
    fn an_image_is_not_read_as_text() {
        let image = "iVBORw0KGgo+AAAANSUhEUg/AAAAUAAA".repeat(100_000);
        let body =
            format!(r#"{{"messages":[{{"content":[{{"image_url":{{"url":"data:image/png;base64,{image}"}}}}]}}]}}"#);
        let estimated = tokens_in(body.as_bytes());
        assert!((ATTACHMENT..ATTACHMENT + 100).contains(&estimated), "{estimated}");
    }

    #[test]
    fn data_is_an_attachment_however_it_is_broken() {
        let image = format!("{}++{}//", "iVBORw0KGgo/".repeat(80), "AAAANSU+".repeat(40)).repeat(300);
        for part in [
            format!(r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{image}"}}}}"#),
            format!(r#"{{"type": "input_audio", "input_audio": {{"data": "{image}", "format": "wav"}}}}"#),
            format!(r#"{{"type":"file","file":{{"file_data":"data:application/pdf;base64,{image}"}}}}"#),
        ] {
            let estimated = tokens_in(part.as_bytes());
            assert!((ATTACHMENT..ATTACHMENT + 100).contains(&estimated), "{estimated}: {}", &part[..90]);
        }
        assert!(tokens(&format!("![it](data:image/png;base64,{image})")) > 10_000, "an address among words is words");
    }

    #[test]
    fn words_without_spaces_are_words() {
        let words = "pay.bob.and.ann.".repeat(1000);
        let plain = tokens(&words.replace('.', " "));
        for part in [
            format!(r#"{{"role":"user","content":"{words}"}}"#),
            format!(r#"{{"role":"user","content":"data:text/plain;base64,{words}"}}"#),
            format!(r#"{{"type":"document","source":{{"type":"text","media_type":"text/plain","data":"{words}"}}}}"#),
            format!(r#"{{"source":{{"data":"{words}","type":"text"}}}}"#),
        ] {
            let estimated = tokens_in(part.as_bytes());
            assert!(estimated >= plain, "{estimated} < {plain}: {}", &part[..90]);
        }
    }

    #[test]
    fn nothing_is_nothing_and_a_word_is_one() {
        assert_eq!(["", "a", " the", "Hel", "lo"].map(tokens), [0, 1, 1, 1, 1]);
    }

    proptest! {
        #[test]
        fn it_grows_with_the_text_and_is_never_more_than_its_bytes(text in any::<String>(), more in any::<String>()) {
            let whole = format!("{text} {more}");
            prop_assert!(tokens(&whole) <= whole.len() as u64);
            prop_assert_eq!(tokens(&text), tokens_in(text.as_bytes()));
        }

        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            tokens_in(&body);
        }
    }
}
