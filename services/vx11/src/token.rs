//! The token that callers present: configured, or made once and kept in the data directory.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::SecretString;

/// The file in `data_dir` that keeps the token.
pub(crate) fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("token")
}

/// The token kept in `data_dir`, made where there is none. Only the file's owner can read it.
pub(crate) fn kept_in(data_dir: &Path) -> anyhow::Result<SecretString> {
    let file = file(data_dir);
    let made = uuid::Uuid::new_v4().simple().to_string();
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file) {
        Ok(mut new) => {
            writeln!(new, "{made}").with_context(|| format!("cannot write {}", file.display()))?;
            Ok(made.into())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            match text.trim() {
                "" => anyhow::bail!("{} is empty; delete it, and a new token is made", file.display()),
                token => Ok(token.into()),
            }
        }
        Err(error) => Err(error).with_context(|| format!("cannot make {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_token_is_made_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = kept_in(dir.path()).expect("made");
        let again = kept_in(dir.path()).expect("kept");
        assert_eq!(first.expose_secret(), again.expose_secret());
        assert_eq!(first.expose_secret().len(), 32);
    }
}
