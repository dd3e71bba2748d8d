//! Log lines in memory, for tests.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;

use super::{LogLayer, Style};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while captured").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What `work` logs.
pub(crate) fn captured(style: Style, work: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let layer = LogLayer::new(style, "vx11", move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    let bytes = captured.0.lock().expect("no panic while captured").clone();
    String::from_utf8(bytes).expect("text")
}

/// What `work` logs, line by line.
pub(crate) fn json_lines(work: impl FnOnce()) -> Vec<Value> {
    captured(Style::Json, work).lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}
