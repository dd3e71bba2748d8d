//! The `anthropic` Python package, unmodified.

use tempfile::TempDir;
use vx11_tests::{Process, TOKEN, base_env};

#[tokio::test]
async fn the_anthropic_package_works_against_the_mock_provider() {
    let data = TempDir::new().expect("a directory");
    let mut env = base_env(data.path());
    env.insert("VX11_MOCK_PROVIDER__API_KEY".to_owned(), TOKEN.to_owned());
    let mut mock = Process::start("mock-provider", &env, &[]).expect("starts");
    let base = format!("http://{}", mock.addresses(&["mock-provider"]).expect("an address")["mock-provider"]);
    let mut client =
        Process::spawn("anthropic_client.py", super::python("anthropic_client.py", &[&base, TOKEN])).expect("starts");
    let status = client.wait().expect("ends");
    assert!(status.success() && client.text().ends_with("OK"), "{status}\n{}", client.text());
}
