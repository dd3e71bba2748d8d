//! One service by itself.

use std::path::Path;

use anyhow::Context;

use crate::{Caller, Process, TOKEN, base_env};

/// Starts `service` on a free port with its data in `data` and more variables, and calls it with the token.
///
/// # Errors
/// When it does not start, or does not listen.
pub fn launch(service: &str, data: &Path, variables: &[(&str, &str)]) -> anyhow::Result<(Process, Caller)> {
    let mut env = base_env(data);
    env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut process = Process::start(service, &env, &[])?;
    let address = process.addresses(&[service])?.remove(service).context("no address")?;
    Ok((process, Caller::new(format!("http://{address}"), Some(TOKEN))))
}
