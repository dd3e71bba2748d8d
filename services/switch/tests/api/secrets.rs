//! Keys go to their provider and nowhere else.

use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::app::App;
use crate::fake::{Act, Fake, completion, error};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_key_reaches_its_provider_and_no_log_or_answer() {
    const KEY: &str = "sk-this-must-not-be-seen";
    // For the whole process, because the service's workers are threads of their own; other tests' lines do no harm.
    let captured = Captured::default();
    let writer = captured.clone();
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(lines.finish()).unwrap();

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{KEY}\n")).unwrap();
    let script = |request: usize| match request {
        0 => vec![Act::Reset],
        1 => vec![error(401, "")],
        _ => vec![completion("hi")],
    };
    let fake = Fake::start(script).await;
    let key = [
        ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENV", "FAKE_API_KEY"),
        ("FAKE_API_KEY_FILE", file.path().to_str().unwrap()),
    ];
    let app = App::in_front_of(&[&fake.url], &key).await;
    let mut answers = String::new();
    for _ in 0..3 {
        let got = app.complete().await;
        answers.push_str(&got.body);
        answers.push_str(&format!("{:?}", got.headers));
    }
    answers.push_str(&app.provider("a").await.to_string());
    app.stop().await;

    let requests = fake.requests();
    assert!(
        requests.iter().all(|request| request.contains(&format!("authorization: Bearer {KEY}\r\n"))),
        "{requests:?}"
    );
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("provider call failed") && log.contains("http_401"), "the log is being written");
    assert!(!log.contains(KEY) && !answers.contains(KEY));
}
