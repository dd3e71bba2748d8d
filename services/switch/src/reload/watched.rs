//! The files that a configuration is read from: its own, and those that hold keys.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use vx11_chassis::config::Common;

use crate::config::SwitchConfig;

/// What tells one state of a file from another; `None` where there is no file. One that is moved over another may be as
/// old and as long.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Files, and in which state each was last seen.
#[derive(Debug)]
pub(crate) struct Watched(BTreeMap<PathBuf, Stamp>);

impl Watched {
    /// The files of `config`, as they are now.
    pub(crate) fn new(config: &SwitchConfig, common: &Common) -> Self {
        let mut watched = Self(BTreeMap::new());
        watched.follow(config, common);
        watched
    }

    /// Watches the files of `config` and no others. Those that were watched before have changed if they had.
    pub(super) fn follow(&mut self, config: &SwitchConfig, common: &Common) {
        let key_files = config.secret_variables();
        let key_files = key_files.iter().filter_map(|variable| common.secrets.file(variable));
        let files = std::iter::once(common.place()).chain(key_files);
        let seen = |file: &Path| (file.to_owned(), self.0.get(file).copied().unwrap_or_else(|| stamp(file)));
        self.0 = files.map(seen).collect();
    }

    /// Whether any of them has changed since it was last seen.
    pub(super) fn look(&mut self) -> bool {
        let mut changed = false;
        for (file, seen) in &mut self.0 {
            let now = stamp(file);
            changed |= *seen != now;
            *seen = now;
        }
        changed
    }
}

fn stamp(file: &Path) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use vx11_chassis::config::Settings;
    use vx11_chassis::process::section;

    use super::*;

    #[test]
    fn the_files_of_the_keys_that_are_configured_are_watched_and_no_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
        let variables = ["CALLER_FILE", "PROVIDER_FILE", "SPARE_FILE", "OTHER_FILE", "GIVEN_FILE"];
        let variables = variables.map(|name| (name.to_owned(), path(name)));
        let file = directory.path().join("vx11.toml");
        let keys = "[switch.keys.a]\nsecret_env = \"CALLER\"\n[switch.keys.b]\nsecret_env = \"GIVEN\"\n";
        let provider = "[switch.providers.local]\napi_key_envs = [\"PROVIDER\", \"SPARE\"]\n";
        let read = |text: &str| {
            std::fs::write(&file, text).expect("written");
            let given = [("GIVEN".to_owned(), "sk".to_owned())];
            let settings = Settings::load(Some(&file), variables.clone().into_iter().chain(given)).expect("settings");
            (section::<SwitchConfig>(&settings).expect("a section"), settings.common().expect("typed"))
        };
        let (config, common) = read(&format!("{keys}{provider}"));
        let mut watched = Watched::new(&config, &common);
        assert!(!watched.look());
        for (name, is_watched) in [
            ("CALLER_FILE", true),
            ("PROVIDER_FILE", true),
            ("SPARE_FILE", true),
            ("OTHER_FILE", false),
            ("GIVEN_FILE", false),
        ] {
            std::fs::write(path(name), "sk").expect("written");
            assert_eq!(watched.look(), is_watched, "{name}");
            assert!(!watched.look(), "{name}: once");
        }

        let (config, common) = read(keys);
        assert!(watched.look(), "the configuration's own file");
        std::fs::remove_file(path("CALLER_FILE")).expect("removed");
        watched.follow(&config, &common);
        assert!(watched.look(), "what changed before it was read is not lost");
        std::fs::remove_file(path("SPARE_FILE")).expect("removed");
        assert!(!watched.look(), "no key is in it any more");
    }
}
