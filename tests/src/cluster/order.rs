//! What a cluster can be told, in words.

use anyhow::{Context, bail};

use super::{Cluster, Fault};

/// What there is to say, one a line.
const WORDS: &str = "\
kill NAME                          end it at once, as a crash does
pause NAME, resume NAME            stop it where it is; let it go on
end NAME                           SIGTERM, and wait until it has ended
start NAME                         start it again
slow CALLER CALLED 200ms           everything arrives so much later, each way
lossy CALLER CALLED 5%             so much of it has to be sent again
stall CALLER CALLED [to | back]    nothing passes: both ways, from the caller, to the caller
cut CALLER CALLED                  connections are reset, and refused
heal [CALLER CALLED]               mend it; everything, where nothing is named
status                             processes, addresses, logs, faults
help, quit
NAME, CALLER and CALLED are a part (operator-2, postgres), a service (operator), or *";

/// One line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Of parts.
    Part(Act, String),
    /// Of links, from who calls to who is called.
    Link(Option<Fault>, String, String),
    /// How everything is.
    Status,
    /// What there is to say.
    Help,
    /// The end.
    Quit,
}

/// What is done to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// End it at once.
    Kill,
    /// Stop it where it is.
    Pause,
    /// Let it go on.
    Resume,
    /// Ask it to end.
    End,
    /// Start it again.
    Start,
}

impl Order {
    /// Reads a line.
    ///
    /// # Errors
    /// When it says nothing that is known.
    pub fn parse(line: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let all = || "*".to_owned();
        Ok(match words[..] {
            ["status"] => Self::Status,
            ["help"] => Self::Help,
            ["quit"] => Self::Quit,
            ["heal"] => Self::Link(None, all(), all()),
            ["heal", caller, called] => Self::Link(None, caller.to_owned(), called.to_owned()),
            [act, name] => Self::Part(Act::parse(act)?, name.to_owned()),
            [fault, caller, called] => {
                Self::Link(Some(Fault::parse(fault, None)?), caller.to_owned(), called.to_owned())
            }
            [fault, caller, called, detail] => {
                Self::Link(Some(Fault::parse(fault, Some(detail))?), caller.to_owned(), called.to_owned())
            }
            _ => bail!("say `help`"),
        })
    }
}

impl Act {
    fn parse(word: &str) -> anyhow::Result<Self> {
        let all = [
            ("kill", Self::Kill),
            ("pause", Self::Pause),
            ("resume", Self::Resume),
            ("end", Self::End),
            ("start", Self::Start),
        ];
        let known = all.into_iter().find(|(name, _)| *name == word);
        known.map(|(_, act)| act).context("say `help`")
    }
}

impl Cluster {
    /// Does what it is told, and says what there is to say of it.
    ///
    /// # Errors
    /// When it cannot be done; of several that are meant, those before are done.
    pub async fn obey(&mut self, order: &Order) -> anyhow::Result<String> {
        match order {
            Order::Part(act, name) => {
                for part in self.meant(name)? {
                    self.act(*act, &part).await.with_context(|| part)?;
                }
            }
            Order::Link(fault, caller, called) => self.set(caller, called, *fault).await?,
            Order::Status => return Ok(self.status()),
            Order::Help => return Ok(format!("{WORDS}\n")),
            Order::Quit => {}
        }
        Ok(String::new())
    }

    async fn act(&mut self, act: Act, part: &str) -> anyhow::Result<()> {
        match act {
            Act::Kill => self.kill(part).await,
            Act::Pause => self.pause(part),
            Act::Resume => self.resume(part),
            Act::End => self.end(part).await,
            Act::Start => self.start_again(part).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Ways;

    #[test]
    fn lines_are_read() {
        let link = |fault, caller: &str, called: &str| Some(Order::Link(fault, caller.to_owned(), called.to_owned()));
        for (line, order) in [
            ("kill operator-2", Some(Order::Part(Act::Kill, "operator-2".to_owned()))),
            ("  start   switch ", Some(Order::Part(Act::Start, "switch".to_owned()))),
            ("stall * postgres back", link(Some(Fault::Stall(Ways::Back)), "*", "postgres")),
            ("cut operator-1 redis", link(Some(Fault::Cut), "operator-1", "redis")),
            ("heal", link(None, "*", "*")),
            ("heal a b", link(None, "a", "b")),
            ("status", Some(Order::Status)),
            ("slow operator-1 postgres", None),
            ("kill", None),
            ("eat operator-1", None),
            ("", None),
        ] {
            assert_eq!(Order::parse(line).ok(), order, "{line}");
        }
    }
}
