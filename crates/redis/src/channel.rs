//! What one process tells all others at once: Redis' publish and subscribe. It reaches who listens at that moment, in the
//! order in which one process said it. It is not kept, so whoever listens is told where something may be missing.

use std::time::Duration;

use fred::prelude::*;
use fred::types::Message;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{CONNECT_TIMEOUT, Failed, Redis, client};

/// What is kept of what came while whoever listens was busy.
const BACKLOG: usize = 1024;
/// How long Redis is left alone after it could not be asked.
const PAUSE: Duration = Duration::from_secs(1);
/// What publishing is called among the scripts in metrics.
pub(super) const PUBLISH: &str = "publish";

/// Hears what is published on a channel, on a connection of its own.
#[derive(Debug)]
pub struct Listener {
    client: Client,
    channel: String,
    messages: Receiver<Message>,
    connected: Receiver<fred::types::config::Server>,
    is_listening: bool,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Somebody said this.
    Message(String),
    /// Redis was asked to let it listen, at first or again: what was said until it does may be missing. It does where
    /// something is heard after this; that it refuses is not told.
    Gap,
}

impl Redis {
    /// Says `texts` to everybody who listens to `channel`, in this order.
    ///
    /// # Errors
    /// When one of them may not have been said.
    pub async fn publish(&self, channel: &str, texts: Vec<String>) -> Result<(), Failed> {
        let channel = self.named(channel);
        let publish = async {
            let pipeline = self.client.pipeline();
            for text in texts {
                let _: () = pipeline.publish(channel.as_str(), text).await?;
            }
            pipeline.try_all::<Value>().await.into_iter().collect::<Result<Vec<_>, Error>>()
        };
        let said = match tokio::time::timeout(self.timeout, publish).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failed::of(&error)),
            Err(_) => Err(Failed::Lost),
        };
        self.ended(PUBLISH, &said);
        said
    }

    /// Begins to listen to `channel`.
    ///
    /// # Errors
    /// When there can be no connection to this Redis, whether it answers or not.
    pub fn listen(&self, channel: &str) -> anyhow::Result<Listener> {
        let client = client(self.client.client_config(), CONNECT_TIMEOUT, BACKLOG)?;
        let (messages, connected) = (client.message_rx(), client.reconnect_rx());
        drop(client.connect());
        let channel = self.named(channel);
        Ok(Listener { client, channel, messages, connected, is_listening: false })
    }

    /// Channels know nothing of Redis' databases, by which installations may be kept apart.
    fn named(&self, channel: &str) -> String {
        format!("vx11:{}:{channel}", self.client.client_config().database.unwrap_or(0))
    }
}

impl Listener {
    /// What comes next. Nothing is lost where this is not waited for to the end.
    pub async fn next(&mut self) -> Heard {
        loop {
            tokio::select! {
                biased;
                // A new connection listens to nothing.
                _ = self.connected.recv() => self.is_listening = false,
                asked = subscribe(&self.client, &self.channel), if !self.is_listening => {
                    self.is_listening = asked;
                    if asked {
                        return Heard::Gap;
                    }
                }
                message = self.messages.recv(), if self.is_listening => match message {
                    Ok(message) => {
                        if let Some(text) = text(message) {
                            return Heard::Message(text);
                        }
                    }
                    Err(RecvError::Lagged(_)) => return Heard::Gap,
                    // The client sends for as long as it is there.
                    Err(RecvError::Closed) => std::future::pending().await,
                },
            }
        }
    }

    /// What has come already.
    pub fn try_next(&mut self) -> Option<Heard> {
        match self.messages.try_recv() {
            Ok(message) => text(message).map(Heard::Message),
            Err(TryRecvError::Lagged(_)) => Some(Heard::Gap),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    /// Gives up the connection for another one: on this one, nothing is heard.
    pub async fn reconnect(&mut self) {
        // Whether that helped shows.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, self.client.force_reconnection()).await;
    }
}

fn text(message: Message) -> Option<String> {
    message.value.as_string()
}

/// Asks to listen; whether that was sent.
async fn subscribe(client: &Client, channel: &str) -> bool {
    let asked = client.subscribe(channel).await.is_ok();
    if !asked {
        tokio::time::sleep(PAUSE).await;
    }
    asked
}
