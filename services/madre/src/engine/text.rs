//! A message as clauses of plain words.

/// A word in lower case, without accents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Whether it had an accent: in Spanish that tells "qué" (what) from "que" (that).
    pub(super) accented: bool,
}

/// A stretch of words that is read on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) words: Vec<Word>,
    /// Whether its sentence ends with a question mark.
    pub(super) has_question_mark: bool,
}

/// Cuts `message` at the ends of sentences, and sentences that are not questions also at commas and at "then".
pub(super) fn clauses(message: &str) -> Vec<Clause> {
    let mut clauses = Vec::new();
    let mut sentence = Sentence::default();
    let mut chars = message.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // An apostrophe joins: "don't" is one word.
            '\'' | '’' => {}
            // A point within a word, as in `switch.log`, does not end a sentence.
            '.' if chars.peek().is_some_and(|next| next.is_alphanumeric()) => sentence.end_word(),
            '?' => sentence.end(true, &mut clauses),
            '.' | '!' | ';' | '\n' | '¿' | '¡' | '…' => sentence.end(false, &mut clauses),
            ',' | ':' | '(' | ')' | '—' => sentence.end_part(),
            c if c.is_alphanumeric() => sentence.push(c),
            // Accents that follow their letter as characters of their own.
            '\u{300}'..='\u{36f}' => sentence.accented = true,
            _ => sentence.end_word(),
        }
    }
    sentence.end(false, &mut clauses);
    clauses
}

#[derive(Default)]
struct Sentence {
    parts: Vec<Vec<Word>>,
    part: Vec<Word>,
    word: String,
    accented: bool,
}

impl Sentence {
    fn push(&mut self, c: char) {
        for c in c.to_lowercase() {
            let plain = fold(c);
            self.accented |= plain != c;
            self.word.push(plain);
        }
    }

    fn end_word(&mut self) {
        let accented = std::mem::take(&mut self.accented);
        let text = std::mem::take(&mut self.word);
        if matches!(text.as_str(), "then" | "luego" | "entonces" | "despues") {
            self.end_part();
        } else if !text.is_empty() {
            self.part.push(Word { text, accented });
        }
    }

    fn end_part(&mut self) {
        if !self.word.is_empty() {
            self.end_word();
        }
        if !self.part.is_empty() {
            self.parts.push(std::mem::take(&mut self.part));
        }
    }

    fn end(&mut self, has_question_mark: bool, clauses: &mut Vec<Clause>) {
        self.end_part();
        let parts = std::mem::take(&mut self.parts);
        let parts = if has_question_mark { vec![parts.concat()] } else { parts };
        let full = parts.into_iter().filter(|words| !words.is_empty());
        clauses.extend(full.map(|words| Clause { words, has_question_mark }));
    }
}

fn fold(c: char) -> char {
    match c {
        'á' | 'à' | 'ä' | 'â' => 'a',
        'é' | 'è' | 'ë' | 'ê' => 'e',
        'í' | 'ì' | 'ï' | 'î' => 'i',
        'ó' | 'ò' | 'ö' | 'ô' => 'o',
        'ú' | 'ù' | 'ü' | 'û' => 'u',
        'ñ' => 'n',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(message: &str) -> Vec<String> {
        let join = |clause: &Clause| clause.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        clauses(message).iter().map(join).collect()
    }

    #[test]
    fn sentences_and_the_parts_of_statements_are_clauses() {
        assert_eq!(texts("Hi. Stop it, then delete logs! ¿Cómo está?"), ["hi", "stop it", "delete logs", "como esta"]);
        assert_eq!(texts("How do I stop, or restart, it?"), ["how do i stop or restart it"]);
        assert_eq!(texts("mock-provider in v1.2 doesn't"), ["mock provider in v1 2 doesnt"]);
        assert_eq!(texts(" ,.;?! "), Vec::<String>::new());
    }

    #[test]
    fn accents_are_dropped_and_remembered_however_they_are_written() {
        for written in ["qué", "que\u{301}", "QUÉ"] {
            let clauses = clauses(written);
            assert_eq!(clauses[0].words, [Word { text: "que".to_owned(), accented: true }], "{written}");
        }
    }
}
