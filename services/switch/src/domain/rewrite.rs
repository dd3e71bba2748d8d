//! The chunks of a provider that finishes another one's answer, made into chunks of that answer.
//!
//! The caller sees one answer: one id, one role, each word once, one `finish_reason`. What cannot be joined honestly is
//! reported as a [`Misfit`], and nothing of it is sent. Reasoning is no part of the answer: where it differs from what
//! was delivered, or the text has begun already, it is left out.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use vx11_contracts::chat::Usage;

use super::answer::{Reported, ReportedUsage};
use super::continuation::{self, Manner};
use super::delivered::{Delivered, Identity, MOST_CHOICES};
use super::json_text;
use super::overlap::Overlap;
use super::splice::{Diverged, Splice};

/// One JSON object, its values as they stand.
type Fields = BTreeMap<String, Box<RawValue>>;

/// Parts of a delta that belong to the answer and are no text.
const NOT_TEXT: [&str; 4] = ["tool_calls", "function_call", "refusal", "audio"];
/// The names that reasoning goes by.
const REASONING: [&str; 2] = ["reasoning_content", "reasoning"];

/// How the new provider was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manuscript {
    /// For the whole answer.
    Anew,
    /// To go on from what was delivered.
    GoingOn(Manner),
}

/// Who finishes the answer, as the caller is told in the field `vx11`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finisher {
    /// The provider's name.
    pub(crate) provider: String,
    /// The model that it was asked for.
    pub(crate) model: String,
    /// How often the stream broke and was taken over.
    pub(crate) rescued: u32,
}

/// Why a chunk cannot be made a part of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The new answer is another one than what was delivered.
    Diverged,
    /// Only a part of a token's text is new, so that its probabilities fit nothing; or it is of a choice not asked for.
    Inseparable,
}

impl From<Diverged> for Misfit {
    fn from(_: Diverged) -> Self {
        Self::Diverged
    }
}

/// Makes one provider's chunks into chunks of an answer that was begun by another.
#[derive(Debug)]
pub(crate) struct Rewriter {
    identity: Identity,
    finisher: Finisher,
    choices: Vec<Joint>,
    manuscript: Manuscript,
    /// Tokens that were delivered before.
    tokens_before: u64,
    /// The model as the new provider calls it.
    model: Option<Box<RawValue>>,
    ending: bool,
    usage: Option<Usage>,
}

impl Rewriter {
    /// Joins an answer of `choices` choices to what was `delivered`.
    pub(crate) fn new(delivered: &Delivered, choices: u32, manuscript: Manuscript, finisher: Finisher) -> Self {
        // A caller may ask for any number; of more than are kept, no chunk fits.
        let choices = 0..MOST_CHOICES.min(choices as usize);
        Self {
            identity: delivered.identity(),
            finisher,
            choices: choices.map(|index| Joint::new(delivered, index, manuscript)).collect(),
            manuscript,
            tokens_before: delivered.tokens(),
            model: None,
            ending: false,
            usage: None,
        }
    }

    /// The chunk for the caller, where `data`, the payload of a well-formed chunk, has something new for it.
    ///
    /// # Errors
    /// When it does not fit; no later chunk will either.
    pub(crate) fn rewrite(&mut self, data: &[u8]) -> Result<Option<Vec<u8>>, Misfit> {
        let mut chunk: Fields = serde_json::from_slice(data).map_err(|_| Misfit::Inseparable)?;
        let came: Vec<Fields> = read(field(&chunk, "choices")).unwrap_or_default();
        let of_choices = !came.is_empty();
        let mut choices = Vec::with_capacity(came.len());
        let mut ends = false;
        for choice in came {
            if let Some((choice, finished)) = self.choice(choice)? {
                ends |= finished;
                choices.push(choice);
            }
        }
        let has_usage = self.rewrite_usage(&mut chunk);
        if choices.is_empty() && (of_choices || !has_usage) {
            return Ok(None);
        }
        self.ending |= ends;
        self.identify(&mut chunk);
        put(&mut chunk, "choices", &choices);
        if ends {
            put(&mut chunk, "vx11", &self.finisher);
        }
        serde_json::to_vec(&chunk).map(Some).map_err(|_| Misfit::Inseparable)
    }

    /// What the caller received, as far as the new provider has said what was spent.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What is new of one choice, and whether it ends with this.
    fn choice(&mut self, mut choice: Fields) -> Result<Option<(Fields, bool)>, Misfit> {
        let index: usize = read(field(&choice, "index")).unwrap_or_default();
        let joint = self.choices.get_mut(index).ok_or(Misfit::Inseparable)?;
        if joint.finished {
            return Ok(None);
        }
        let finished = says(field(&choice, "finish_reason"));
        let mut delta: Fields = read(field(&choice, "delta")).unwrap_or_default();
        if joint.begun {
            delta.remove("role");
        }
        let came = content(&mut delta);
        joint.reasoning(&mut delta);
        let not_text = NOT_TEXT.iter().any(|name| says(field(&delta, name))) || delta.contains_key("content");
        let rest = joint.feed(&came, finished || not_text)?;
        if !joint.is_caught_up() {
            // Whatever else came belongs to text that the caller has.
            delta.clear();
        }
        if rest.is_empty() {
            choice.remove("logprobs");
        } else if rest != came && says(field(&choice, "logprobs")) {
            return Err(Misfit::Inseparable);
        }
        if !rest.is_empty()
            && let Ok(text) = RawValue::from_string(json_text::quoted(&rest))
        {
            delta.insert("content".to_owned(), text);
        }
        if delta.is_empty() && !finished && joint.begun {
            return Ok(None);
        }
        joint.begun = true;
        joint.finished = finished;
        put(&mut choice, "delta", &delta);
        Ok(Some((choice, finished)))
    }

    /// Gives the chunk the fields that all chunks of the answer share. The last ones name the model that finished it.
    fn identify(&mut self, chunk: &mut Fields) {
        if let Some(model) = chunk.remove("model").filter(|model| model.get() != r#""""#) {
            self.model = Some(model);
        }
        let asked = || to_raw_value(&self.finisher.model).ok();
        let model = match self.ending {
            true => self.model.clone().or_else(asked),
            false => self.identity.model.clone(),
        };
        for (name, value) in
            [("id", self.identity.id.clone()), ("created", self.identity.created.clone()), ("model", model)]
        {
            match value {
                Some(value) => chunk.insert(name.to_owned(), value),
                None => chunk.remove(name),
            };
        }
    }

    /// Lets the chunk's usage, if it has one, cover what the caller received.
    fn rewrite_usage(&mut self, chunk: &mut Fields) -> bool {
        let Some(reported) = read::<Option<ReportedUsage>>(field(chunk, "usage")).flatten() else { return false };
        let mut usage = Reported::from(reported).usage;
        if let Manuscript::GoingOn(manner) = self.manuscript {
            usage.completion_tokens += self.tokens_before;
            let added = continuation::added_tokens(self.tokens_before, manner);
            usage.prompt_tokens = usage.prompt_tokens.saturating_sub(added);
            usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
            let mut fields: Fields = read(field(chunk, "usage")).unwrap_or_default();
            put(&mut fields, "prompt_tokens", &usage.prompt_tokens);
            put(&mut fields, "completion_tokens", &usage.completion_tokens);
            put(&mut fields, "total_tokens", &usage.total_tokens);
            put(chunk, "usage", &fields);
        }
        self.usage = Some(usage);
        true
    }
}

/// Where one choice of the new answer meets what the caller has of it.
#[derive(Debug)]
struct Joint {
    text: Text,
    /// `None`: no more of it is sent.
    reasoning: Option<Splice>,
    begun: bool,
    finished: bool,
}

#[derive(Debug)]
enum Text {
    Anew(Splice),
    GoingOn(Overlap),
}

impl Joint {
    fn new(delivered: &Delivered, index: usize, manuscript: Manuscript) -> Self {
        let content = delivered.content(index);
        let reasoning = content.is_empty().then(|| Splice::new(delivered.reasoning(index)));
        let text = match manuscript {
            Manuscript::Anew => Text::Anew(Splice::new(content)),
            // Each token's probabilities come with its own text.
            Manuscript::GoingOn(_) if delivered.has_logprobs() => Text::GoingOn(Overlap::none()),
            Manuscript::GoingOn(Manner::Instruction) => Text::GoingOn(Overlap::of_instruction(content)),
            Manuscript::GoingOn(Manner::Prefill) => {
                let unseen = content.len() - continuation::shown_to_prefill(&content).len();
                Text::GoingOn(Overlap::of_prefill(content, unseen))
            }
        };
        Self { text, reasoning, begun: delivered.has_begun(index), finished: delivered.has_finished(index) }
    }

    /// What the caller does not have yet; all of it where no more text may be held back.
    fn feed(&mut self, came: &[u16], all: bool) -> Result<Vec<u16>, Diverged> {
        match &mut self.text {
            Text::Anew(splice) => {
                let rest = splice.feed(came)?.to_vec();
                if all && !splice.is_caught_up() { Err(Diverged) } else { Ok(rest) }
            }
            Text::GoingOn(overlap) => {
                let mut rest = overlap.feed(came);
                if all {
                    rest.extend(overlap.settle());
                }
                Ok(rest)
            }
        }
    }

    fn is_caught_up(&self) -> bool {
        match &self.text {
            Text::Anew(splice) => splice.is_caught_up(),
            Text::GoingOn(_) => true,
        }
    }

    /// Leaves of a delta's reasoning what is new.
    fn reasoning(&mut self, delta: &mut Fields) {
        let came = REASONING.iter().find_map(|name| delta.get(*name).and_then(|raw| text(raw)));
        let rest = match (&mut self.reasoning, &came) {
            (Some(splice), Some(came)) => splice.feed(came).map(<[u16]>::to_vec),
            _ => Ok(Vec::new()),
        };
        if rest.is_err() {
            self.reasoning = None;
        }
        let rest = rest.unwrap_or_default();
        for name in REASONING {
            if delta.remove(name).is_some_and(|raw| text(&raw).is_some())
                && !rest.is_empty()
                && let Ok(raw) = RawValue::from_string(json_text::quoted(&rest))
            {
                delta.insert(name.to_owned(), raw);
            }
        }
    }
}

/// Takes the text out of a delta; what is not text stays.
fn content(delta: &mut Fields) -> Vec<u16> {
    match delta.remove("content") {
        Some(raw) => match text(&raw) {
            Some(units) => units,
            None if says(Some(&raw)) => {
                delta.insert("content".to_owned(), raw);
                Vec::new()
            }
            None => Vec::new(),
        },
        None => Vec::new(),
    }
}

/// The code units of a JSON string. `None`: it is something else.
fn text(raw: &RawValue) -> Option<Vec<u16>> {
    raw.get().strip_prefix('"')?.strip_suffix('"').map(json_text::units)
}

fn field<'f>(fields: &'f Fields, name: &str) -> Option<&'f RawValue> {
    fields.get(name).map(|raw| &**raw)
}

/// Whether a field holds anything.
fn says(field: Option<&RawValue>) -> bool {
    field.is_some_and(|raw| !matches!(raw.get(), "null" | r#""""# | "[]" | "{}"))
}

fn read<'f, T: serde::Deserialize<'f>>(field: Option<&'f RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

fn put(fields: &mut Fields, name: &str, value: &impl Serialize) {
    // Numbers, texts and maps with text keys: nothing that can fail.
    if let Ok(raw) = to_raw_value(value) {
        fields.insert(name.to_owned(), raw);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::chunk::StreamWatch;
    use super::*;

    const PREFILL: Manuscript = Manuscript::GoingOn(Manner::Prefill);
    const TOLD: Manuscript = Manuscript::GoingOn(Manner::Instruction);

    fn delivered(chunks: &[String]) -> Delivered {
        let (mut watch, mut delivered) = (StreamWatch::new(1), Delivered::default());
        for chunk in chunks {
            watch.observe(chunk.as_bytes(), Some(&mut delivered)).expect("well formed");
        }
        delivered
    }

    fn rewriter(delivered: &Delivered, choices: u32, manuscript: Manuscript) -> Rewriter {
        let finisher = Finisher { provider: "b".to_owned(), model: "m-b".to_owned(), rescued: 1 };
        Rewriter::new(delivered, choices, manuscript, finisher)
    }

    /// A chunk with this delta of the first choice.
    fn chunk(id: &str, delta: &str) -> String {
        format!(r#"{{"id":"{id}","created":1,"model":"real-{id}","choices":[{{"index":0,"delta":{delta}}}]}}"#)
    }

    fn says(id: &str, text: &str) -> String {
        chunk(id, &format!(r#"{{"content":"{text}"}}"#))
    }

    fn stop(id: &str) -> String {
        format!(r#"{{"id":"{id}","model":"real-{id}","choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}]}}"#)
    }

    fn rewrite(rewriter: &mut Rewriter, chunk: &str) -> Result<Option<Value>, Misfit> {
        let rewritten = rewriter.rewrite(chunk.as_bytes())?;
        Ok(rewritten.map(|chunk| serde_json::from_slice(&chunk).expect("JSON")))
    }

    fn rewrite_all(rewriter: &mut Rewriter, chunks: &[String]) -> Result<Vec<Value>, Misfit> {
        chunks.iter().filter_map(|chunk| rewrite(rewriter, chunk).transpose()).collect()
    }

    #[test]
    fn an_answer_given_anew_becomes_the_rest_of_the_first_one() {
        let first = delivered(&[chunk("a", r#"{"role":"assistant","content":""}"#), says("a", "Hel")]);
        let second = [
            chunk("b", r#"{"role":"assistant","content":""}"#),
            says("b", "He"),
            says("b", "llo"),
            stop("b"),
            r#"{"id":"b","model":"real-b","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#
                .to_owned(),
        ];
        let mut rewriter = rewriter(&first, 1, Manuscript::Anew);
        let got = rewrite_all(&mut rewriter, &second).expect("it agrees");
        let expected = [
            json!({"id": "a", "created": 1, "model": "real-a", "choices": [{"index": 0, "delta": {"content": "lo"}}]}),
            json!({
                "id": "a", "created": 1, "model": "real-b",
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                "vx11": {"provider": "b", "model": "m-b", "rescued": 1},
            }),
            json!({
                "id": "a", "created": 1, "model": "real-b", "choices": [],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            }),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn an_answer_gone_on_with_is_counted_whole() {
        let first = delivered(&[says("a", "one "), says("a", "two ")]);
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"x":1}}"#;
        let mut rewriter = rewriter(&first, 1, PREFILL);
        assert_eq!(
            rewrite(&mut rewriter, &says("b", " three")).expect("fits").expect("new")["choices"][0]["delta"],
            json!({"content": "three"})
        );
        let got = rewrite(&mut rewriter, usage).expect("fits").expect("new");
        assert_eq!(got["usage"], json!({"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17, "x": 1}));
        assert_eq!(rewriter.usage().map(|usage| usage.completion_tokens), Some(7));
    }

    #[test]
    fn another_answer_is_told_apart_and_nothing_of_it_is_sent() {
        let first = delivered(&[says("a", "Hello")]);
        let tool = chunk("b", r#"{"tool_calls":[{"index":0}]}"#);
        for second in [vec![says("b", "Hi")], vec![says("b", "Hell"), stop("b")], vec![tool]] {
            let mut rewriter = rewriter(&first, 1, Manuscript::Anew);
            assert_eq!(rewrite_all(&mut rewriter, &second), Err(Misfit::Diverged), "{second:?}");
        }
    }

    #[test]
    fn a_tool_call_behind_the_text_comes_whole() {
        let first = delivered(&[says("a", "Let me")]);
        let call = r#"{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"x\":1.50}"}}]}"#;
        for (manuscript, text) in [(Manuscript::Anew, "Let me see"), (PREFILL, " see"), (TOLD, " see")] {
            let mut rewriter = rewriter(&first, 1, manuscript);
            let got = rewrite_all(&mut rewriter, &[says("b", text), chunk("b", call)]).expect("it agrees");
            assert_eq!(got[0]["choices"][0]["delta"]["content"], " see");
            assert_eq!(got[1]["choices"][0]["delta"], serde_json::from_str::<Value>(call).expect("JSON"));
        }
    }

    #[test]
    fn reasoning_is_sent_once_and_never_a_reason_to_break() {
        let thinks = |text: &str| chunk("b", &format!(r#"{{"reasoning_content":"{text}","reasoning":"{text}"}}"#));
        let thought = delivered(&[chunk("a", r#"{"reasoning_content":"so w"}"#)]);
        let mut agreeing = rewriter(&thought, 1, Manuscript::Anew);
        let got = rewrite_all(&mut agreeing, &[thinks("so "), thinks("well"), says("b", "Hi")]).expect("it agrees");
        assert_eq!(got[0]["choices"][0]["delta"], json!({"reasoning_content": "ell", "reasoning": "ell"}));
        assert_eq!((got.len(), &got[1]["choices"][0]["delta"]), (2, &json!({"content": "Hi"})));
        let mut other = rewriter(&thought, 1, Manuscript::Anew);
        let got = rewrite_all(&mut other, &[thinks("hm"), thinks("m"), says("b", "Hi")]).expect("the text is new");
        assert_eq!((got.len(), &got[0]["choices"][0]["delta"]), (1, &json!({"content": "Hi"})));
        let said = delivered(&[says("a", "H")]);
        let mut late = rewriter(&said, 1, Manuscript::Anew);
        let got = rewrite_all(&mut late, &[thinks("hm"), says("b", "Hi")]).expect("it agrees");
        assert_eq!((got.len(), &got[0]["choices"][0]["delta"]), (1, &json!({"content": "i"})));
    }

    #[test]
    fn choices_are_joined_one_by_one() {
        let two = |id: &str, first: &str, second: &str| {
            format!(
                r#"{{"id":"{id}","choices":[{{"index":1,"delta":{{"content":"{second}"}},"finish_reason":null}},{{"index":0,"delta":{{"content":"{first}"}}}}]}}"#
            )
        };
        let first = delivered(&[two("a", "red", "gr"), stop("a")]);
        let mut rewriter = rewriter(&first, 2, Manuscript::Anew);
        let got = rewrite_all(&mut rewriter, &[two("b", "other", "gre"), two("b", "", "en"), stop("b")]).expect("fits");
        let texts: Vec<&Value> = got.iter().map(|chunk| &chunk["choices"]).collect();
        let says = |text: &str| json!([{"index": 1, "delta": {"content": text}, "finish_reason": null}]);
        assert_eq!(texts, [&says("e"), &says("en")], "the first one was whole already");
        let third = r#"{"choices":[{"index":2,"delta":{"content":"x"}}]}"#;
        assert_eq!(rewrite(&mut rewriter, third), Err(Misfit::Inseparable));
    }

    #[test]
    fn probabilities_stay_with_their_tokens() {
        let with = |text: &str| {
            let logprobs = format!(r#"{{"content":[{{"token":"{text}","logprob":-0.5}}]}}"#);
            format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"logprobs":{logprobs}}}]}}"#)
        };
        let first = delivered(&[with("Hel")]);
        let mut same = rewriter(&first, 1, Manuscript::Anew);
        let got = rewrite_all(&mut same, &[with("Hel"), with("lo")]).expect("token by token");
        assert_eq!((got.len(), &got[0]["choices"][0]["logprobs"]["content"][0]["token"]), (1, &json!("lo")));
        let mut other = rewriter(&first, 1, Manuscript::Anew);
        assert_eq!(rewrite_all(&mut other, &[with("Hello")]), Err(Misfit::Inseparable));
        let mut going_on = rewriter(&first, 1, TOLD);
        assert_eq!(rewrite_all(&mut going_on, &[with("lo")]).expect("as it comes").len(), 1);
    }

    /// `units` in chunks that end at `cuts`, even within a character, and escaped as `escape` says.
    fn stream(id: &str, units: &[u16], cuts: &[usize], escape: bool) -> Vec<String> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (units.len() + 1)).collect();
        cuts.extend([0, units.len()]);
        cuts.sort_unstable();
        let text = |units: &[u16]| match escape {
            true => units.iter().map(|unit| format!("\\u{unit:04X}")).collect(),
            false => {
                let quoted = json_text::quoted(units);
                quoted[1..quoted.len() - 1].to_owned()
            }
        };
        cuts.windows(2).map(|pair| says(id, &text(&units[pair[0]..pair[1]]))).chain([stop(id)]).collect()
    }

    proptest! {
        #[test]
        fn the_caller_has_the_finishing_targets_answer_exactly(
            answer in prop_oneof![any::<String>(), "[a😀\"\\\\\n]{0,20}"],
            broken_after in prop::collection::vec(any::<usize>(), 1..4),
            cuts in prop::collection::vec(prop::collection::vec(any::<usize>(), 0..8), 4),
            escape in any::<bool>(),
        ) {
            let units: Vec<u16> = answer.encode_utf16().collect();
            let mut sent = StreamWatch::new(1);
            let mut caller = Delivered::default();
            let first = stream("0", &units, &cuts[0], escape);
            for chunk in &first[..broken_after[0] % first.len()] {
                sent.observe(chunk.as_bytes(), Some(&mut caller)).expect("well formed");
            }
            // Every further provider breaks as well, but for the last one.
            for (round, cuts) in cuts.iter().enumerate().skip(1).take(broken_after.len()) {
                let chunks = stream(&round.to_string(), &units, cuts, escape != (round % 2 == 0));
                let until = broken_after.get(round).map_or(chunks.len(), |at| at % chunks.len());
                let mut rewriter = rewriter(&caller.clone(), 1, Manuscript::Anew);
                for chunk in &chunks[..until] {
                    let rewritten = rewriter.rewrite(chunk.as_bytes()).expect("it agrees");
                    if let Some(rewritten) = rewritten {
                        sent.observe(&rewritten, Some(&mut caller)).expect("well formed");
                    }
                }
            }
            prop_assert_eq!(caller.content(0), units);
            prop_assert!(sent.is_complete() && caller.has_finished(0));
        }

        #[test]
        fn no_chunk_makes_the_rewriter_panic(chunk in "[{}\\[\\]\",:a-z\\\\ 0-9]{0,60}") {
            let mut rewriter = rewriter(&delivered(&[says("a", "Hel")]), 1, Manuscript::Anew);
            let _ = rewriter.rewrite(chunk.as_bytes());
        }
    }
}
