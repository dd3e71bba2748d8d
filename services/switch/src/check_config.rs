//! What a start would make of a configuration, without starting.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use vx11_chassis::config::Settings;
use vx11_chassis::process::section;
use vx11_redis::Redis;

use crate::accounts::{PriceTable, Terms};
use crate::config::SwitchConfig;
use crate::providers::{Provider, Registry};

/// Reads and checks the configuration that the gateway would start with, or would with `file`, keys included, and says
/// what is in it.
///
/// # Errors
/// Naming the file or variable, and the field.
pub fn check_config(file: Option<&Path>) -> anyhow::Result<String> {
    check(&Settings::of_process(file)?)
}

fn check(settings: &Settings) -> anyhow::Result<String> {
    let common = settings.common()?;
    let config: SwitchConfig = section(settings)?;
    if let Some((setting, url)) = config.redis(&common) {
        Redis::check(url).context(setting)?;
    }
    Terms::new(&config, &common.secrets, None)?;
    let registry = Registry::new(&config, &common, None)?;
    // The system's certificates and the environment's proxy are looked at here.
    registry.clients(None)?;
    let source = common.file.map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
    let (providers, models) = (registry.all().len(), config.all_models().len());
    let (providers, models) = (counted(providers, "provider"), counted(models, "model"));
    let mut said = format!("{source}: the configuration can be used: {providers}, {models}");
    let without_key = without_key(&config, &registry);
    for warning in config.warnings(&PriceTable::new(&config.prices)).into_iter().chain(without_key) {
        said.push_str("\nwarning: ");
        said.push_str(&warning);
    }
    Ok(said)
}

/// What is said of providers that are configured, or asked for, and have no key. It may come with the environment of
/// the start, and so is no mistake.
pub(crate) fn without_key(config: &SwitchConfig, registry: &Registry) -> Vec<String> {
    let unusable = registry.all().iter().filter(|provider| !provider.is_usable());
    let meant = unusable.filter(|provider| config.names_provider(&provider.name));
    let warning = |provider: &Arc<Provider>| {
        let (name, variables) = (&provider.name, provider.key_variables().join("`, `"));
        format!("switch.providers.{name}: `{variables}` is not set: requests pass `{name}` over")
    };
    meant.map(warning).collect()
}

fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(toml: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), toml).expect("written");
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::load(Some(file.path()), variables).expect("settings");
        let hide = |text: String| text.replace(file.path().to_str().expect("UTF-8"), "FILE");
        check(&settings).map(hide).map_err(|error| hide(format!("{error:#}")))
    }

    #[test]
    fn what_a_start_refuses_is_refused() {
        let keys = "[switch.keys.a]\nsecret_env = \"A\"\n[switch.keys.b]\nsecret_env = \"B\"";
        for (toml, variables, expected) in [
            (keys, &[("A", "sk"), ("B", "sk")][..], "switch.keys.b: another key has the same secret"),
            (keys, &[("A_FILE", "/no/such/file")], "A_FILE: cannot read /no/such/file"),
            (keys, &[("VX11_SWITCH__REDIS_URL", "http://redis")], "switch.redis_url: it is no URL of Redis"),
            (keys, &[("VX11_REDIS_URL", "http://redis")], "VX11_REDIS_URL: it is no URL of Redis"),
        ] {
            let refused = checked(toml, variables).expect_err(expected);
            assert!(refused.contains(expected), "{refused}");
        }
        let fine = checked(keys, &[("A", "sk-a"), ("B", "sk-b"), ("VX11_REDIS_URL", "rediss://:pw@redis")]);
        assert_eq!(fine.expect("can be used"), "FILE: the configuration can be used: 3 providers, 1 model");
    }

    #[test]
    fn a_rule_that_could_not_hold_what_it_should_is_refused() {
        let rule = |fields: &str| checked(&format!("[[switch.holds]]\nname = \"r\"\n{fields}"), &[]);
        for (fields, expected) in [
            ("pattern = \"(\"", "switch.holds[0].pattern: regex parse error"),
            ("pattern = '(\\w{300}){300}'", "switch.holds[0].pattern: Compiled regex exceeds size limit"),
            ("models = [\"a*b\"]", "switch.holds[0].models[0]: a `*` stands only at the end of a pattern"),
            ("wait_sec = 4000", "switch.holds[0].wait_sec: must be 0 to 3600"),
            ("expires_in_sec = -1", "switch.holds[0].expires_in_sec: must not be negative"),
            ("allow = []", "switch.holds[0].allow: 1 to 4 of"),
            ("required_role = \"ADMIN\"\non_timeout = \"approve\"", "switch.holds[0].on_timeout: what only an ADMIN"),
            ("[[switch.holds]]\nname = \"r\"", "switch.holds[1].name: another rule has the same name"),
            ("[[switch.holds]]\nname = \"a b\"", "switch.holds[1].name: must be 1 to 64"),
            ("modles = []", "unknown field: found `modles`"),
        ] {
            let refused = rule(fields).expect_err(fields);
            assert!(refused.contains(expected), "{fields}: {refused}");
        }
        let keys = "keys = [\"alcie\", \"internal\", \"key:aB3dE5fG\", \"pilot:ann\"]";
        let said = rule(&format!("{keys}\nmin_cost_usd = 0.5")).expect("can be used");
        assert!(said.ends_with("\nwarning: switch.holds[0].keys: there is no key `alcie` in `switch.keys`"), "{said}");
    }

    #[test]
    fn a_mistake_is_shown_with_its_line() {
        let refused = checked("[switch.retries]\nratio = 0.1\nattempts = 3", &[]).expect_err("too many");
        assert_eq!(refused, "switch.retries.attempts: must be 0 to 2, in FILE, line 3");
        let refused = checked("", &[("VX11_SWITCH__RETRIES__ATTEMPTS", "3")]).expect_err("too many");
        assert_eq!(refused, "switch.retries.attempts: must be 0 to 2, set by VX11_SWITCH__RETRIES__ATTEMPTS");
    }

    #[test]
    fn what_can_be_used_and_is_probably_not_meant_is_said() {
        let key = "[switch.keys.a]\nsecret_env = \"A\"\norg = \"acmee\"\n";
        assert!(!checked(key, &[]).expect("can be used").contains("warning"), "an organisation needs no entry");
        let said = checked(&format!("{key}[switch.orgs.acme]\nbudget = {{ usd = 1 }}"), &[]).expect("can be used");
        assert!(said.contains("\nwarning: switch.keys.a.org: `acmee` is not in `switch.orgs`"), "{said}");
        let groq = "[switch.providers.groq]\nbase_url = \"https://groq.example\"\nmodels = [\"m\"]\napi_key_env = \"GROQ_KEY\"";
        let said = checked(groq, &[]).expect("can be used");
        assert!(
            said.ends_with("\nwarning: switch.providers.groq: `GROQ_KEY` is not set: requests pass `groq` over"),
            "{said}"
        );
        assert!(!checked(groq, &[("GROQ_KEY", "sk")]).expect("can be used").contains("warning"));
        let built_in = "[switch.models.m]\ntargets = [\"deepseek_r1/deepseek-reasoner\"]";
        assert!(checked(built_in, &[]).expect("can be used").contains("`DEEPSEEK_API_KEY` is not set"));
        let cheapest = "[switch.models.m]\nstrategy = \"cheapest\"\ntargets = [\"local/gpt-4o\", \"local/local-x\"]";
        let said = checked(cheapest, &[]).expect("can be used");
        assert!(said.contains("\nwarning: switch.models.m.targets[1]: `local/local-x` has no price"), "{said}");
        assert!(!said.contains("targets[0]"), "the shipped table has one: {said}");

        let routes = "[switch.models.m]\ntargets = [\"local/gpt-4o\", \"local/local-x\"]\n\
                      [switch.providers.p]\nbase_url = \"http://p\"\nmodels = [\"own\", \"own-*\"]\n";
        assert!(!checked(routes, &[]).expect("can be used").contains("warning"), "nobody has a budget");
        for budget in [
            "[switch.keys.a]\nsecret_env = \"A\"\nbudget = { usd = 1 }",
            "[switch.orgs.o]\nbudget = { usd = 1 }",
            "[switch.orgs.o.teams.t]\nbudget = { usd = 1 }",
            "[[switch.holds]]\nname = \"r\"\nmin_cost_usd = 0.5",
        ] {
            let said = checked(&format!("{routes}{budget}"), &[]).expect("can be used");
            for (field, model) in [("switch.models.m", "local-x"), ("switch.providers.p.models", "own")] {
                assert!(said.contains(&format!("\nwarning: {field}: `{model}` has no price")), "{said}");
            }
            assert_eq!(said.matches("warning").count(), 2, "{said}");
            let free = "\n[switch.prices.\"local-x\"]\ninput = 0\noutput = 0";
            let said = checked(&format!("{routes}{budget}{free}"), &[]).expect("can be used");
            assert!(!said.contains("`local-x`"), "a price of nothing is one: {said}");
        }
    }
}
