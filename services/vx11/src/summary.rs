//! What a person reads when everything runs.

use std::io::Write;

use secrecy::ExposeSecret;
use vx11_chassis::config::Common;

/// Writes the summary: addresses, token, data, and a first request to copy.
pub(crate) fn print(common: &Common) -> std::io::Result<()> {
    let token = common.token.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    let urls = &common.urls;
    let edge = urls.tentaculo.as_str().trim_end_matches('/');
    let data = std::path::absolute(&common.data_dir.0).unwrap_or_else(|_| common.data_dir.0.clone());
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "
VX11 is up.

  chat API     {edge}/operator/api/chat
  OpenAI API   {edge}/v1        (API key: the token)
  docs         {edge}/docs/

  operator {operator}   switch {switch}   madre {madre}   mock-provider {mock}

  token        {token}
  data         {data}

Try it:

  curl -s {edge}/operator/api/chat \\
    -H 'x-vx11-token: {token}' -H 'content-type: application/json' \\
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

fn host(url: &url::Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}
