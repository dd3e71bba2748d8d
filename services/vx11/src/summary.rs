//! What a person reads when everything runs. It may well end in a log, so no secret is in it.

use std::io::Write;
use std::path::{Path, PathBuf};

use vx11_chassis::config::Common;

/// Where the token is.
#[derive(Clone, Debug)]
pub(crate) enum Token {
    /// Where the configuration says.
    Configured,
    /// In this file.
    Kept(PathBuf),
}

/// Writes the summary: addresses, where the token is, data, and a first request to copy.
pub(crate) fn print(common: &Common, token: &Token) -> std::io::Result<()> {
    let urls = &common.urls;
    let edge = urls.tentaculo.as_str().trim_end_matches('/');
    let data = std::path::absolute(&common.data_dir.0).unwrap_or_else(|_| common.data_dir.0.clone());
    let (place, shown) = match token {
        Token::Configured => ("as configured".to_owned(), "$VX11_TOKEN".to_owned()),
        Token::Kept(file) => {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            (format!("in {}", file.display()), format!("$(cat {})", quoted(&file)))
        }
    };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "
VX11 is up.

  chat API     {edge}/operator/api/chat
  OpenAI API   {edge}/v1        (API key: the token)
  docs         {edge}/docs/

  operator {operator}   switch {switch}   madre {madre}   mock-provider {mock}

  token        {place}
  data         {data}

Try it:

  curl -s {edge}/operator/api/chat \\
    -H \"x-vx11-token: {shown}\" -H 'content-type: application/json' \\
    -d '{{\"message\": \"Hello\"}}'

Ctrl-C drains and stops.
",
        operator = host(&urls.operator),
        switch = host(&urls.switch),
        madre = host(&urls.madre),
        mock = host(&urls.mock_provider),
        data = data.display(),
    )?;
    out.flush()
}

/// A path as a shell reads it.
fn quoted(file: &Path) -> String {
    let text = file.display().to_string();
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn host(url: &url::Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}
