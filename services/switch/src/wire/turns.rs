//! A conversation as a list of turns: what stands side by side in one role is one turn, and what the system says stands
//! apart. OpenAI's messages are neither; Anthropic and Gemini want both.

use serde_json::{Value, json};

use super::Untranslatable;

/// The role whose messages stand apart.
pub(super) const SYSTEM: &str = "system";

/// A conversation in turns.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// What the system says, in parts.
    pub(super) system: Vec<Value>,
    turns: Vec<(&'static str, Vec<Value>)>,
}

impl Turns {
    /// What `turn` makes of each of `messages`: whose turn it is, and what is said in it. It is given the messages
    /// before, too.
    pub(super) fn of(
        messages: &[Value],
        turn: impl Fn(&Value, &[Value]) -> Result<(&'static str, Vec<Value>), Untranslatable>,
    ) -> Result<Self, Untranslatable> {
        let mut all = Self::default();
        for (index, message) in messages.iter().enumerate() {
            let turn = turn(message, &messages[..index]);
            let (role, parts) = turn.map_err(|error| error.within(&format!("messages[{index}]")))?;
            all.add(role, parts);
        }
        Ok(all)
    }

    fn add(&mut self, role: &'static str, parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            _ if role == SYSTEM => self.system.extend(parts),
            // The results of parallel calls must come in one turn.
            Some((last, said)) if *last == role => said.extend(parts),
            _ => self.turns.push((role, parts)),
        }
    }

    /// The turns, with their parts under the name that the wire has for them.
    pub(super) fn messages(&mut self, parts: &str) -> Vec<Value> {
        self.turns.drain(..).map(|(role, said)| json!({"role": role, parts: said})).collect()
    }
}
