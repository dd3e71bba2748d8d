use vx11_chassis::config::Settings;
use vx11_chassis::process::section;

use super::*;

fn load(variables: &[(&str, &str)]) -> Result<SwitchConfig, ConfigError> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    section(&Settings::load(None, variables)?)
}

fn load_file(toml: &str) -> Result<SwitchConfig, ConfigError> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("vx11.toml");
    std::fs::write(&file, toml).expect("written");
    section(&Settings::load(Some(&file), [])?)
}

fn targets(config: &SwitchConfig, model: &str) -> Vec<String> {
    config.all_models()[model].targets.iter().map(|target| target.target.clone()).collect()
}

#[test]
fn without_configuration_there_are_the_built_in_providers_and_a_default_route() {
    let config = load(&[]).expect("valid");
    let urls = Urls { mock_provider: "http://mock.test:9/".parse().expect("a URL"), ..Urls::default() };
    let providers = config.all_providers(&urls);
    assert_eq!(providers.keys().collect::<Vec<_>>(), ["deepseek_r1", "local", "mock"]);
    assert_eq!(providers["mock"].base_url.as_ref().expect("set").as_str(), "http://mock.test:9/v1");
    assert_eq!(targets(&config, DEFAULT_MODEL), ["mock/mock"]);
}

#[test]
fn variables_change_one_field_of_a_built_in_provider_and_the_default_route() {
    let config = load(&[
        ("VX11_SWITCH__PROVIDERS__LOCAL__BASE_URL", "http://127.0.0.1:9999/v1"),
        ("VX11_SWITCH__PROVIDERS__LOCAL__TIMEOUT", "2s"),
        ("VX11_SWITCH__MODELS__DEFAULT__TARGETS", r#"["local/smollm2","mock/mock"]"#),
    ])
    .expect("valid");
    let local = &config.all_providers(&Urls::default())["local"];
    assert_eq!(local.base_url.as_ref().expect("set").as_str(), "http://127.0.0.1:9999/v1");
    assert_eq!((local.timeout, local.stream_idle_timeout), (Some(Duration::from_secs(2)), Duration::from_secs(15)));
    assert_eq!(local.models.as_deref().expect("kept"), ["local*"]);
    assert_eq!(targets(&config, DEFAULT_MODEL), ["local/smollm2", "mock/mock"]);
}

#[test]
fn providers_have_as_long_as_the_sdks_wait_and_less_for_a_chat() {
    let limits = |fields: &str| {
        let text = format!("[switch.providers.p]\nbase_url = \"http://p.test\"\nmodels = [\"m\"]\n{fields}");
        let config = load_file(&text).expect("valid").all_providers(&Urls::default())["p"].clone();
        let seconds = |(answer, first): (Duration, Duration)| (answer.as_secs(), first.as_secs());
        (seconds(config.answer_limits()), seconds(config.chat_limits()))
    };
    assert_eq!(limits(""), ((600, 60), (15, 15)));
    assert_eq!(limits("timeout = \"20s\""), ((20, 20), (20, 20)), "whatever it is set for");
    assert_eq!(limits("timeout = \"2m\""), ((120, 60), (120, 120)));
    assert_eq!(limits("ttft_timeout = \"3m\""), ((600, 180), (15, 180)));
}

#[test]
fn a_provider_has_responses_where_that_is_said() {
    let has = |fields: &str| {
        let config = load_file(&format!("[switch.providers.p]\nmodels = [\"m\"]\n{fields}")).expect(fields);
        config.all_providers(&Urls::default())["p"].has_responses()
    };
    let at = |address: &str| format!("base_url = \"{address}\"\n");
    let openai = at("https://api.openai.com/v1");
    assert!(!has(&openai) && has(&(openai.clone() + "responses = true")));
    let azure = at("https://x.openai.azure.com") + "kind = \"azure-openai\"\n";
    assert!(!has(&azure) && has(&(azure.clone() + "responses = true")));
    let claude = "[switch.providers.p]\nkind = \"anthropic\"\nmodels = [\"m\"]\nresponses = true";
    let refused = load_file(claude).expect_err("refused").to_string();
    assert!(refused.contains("switch.providers.p.responses"), "{refused}");
}

#[test]
fn a_file_adds_providers_and_models() {
    let config = load_file(
        r#"
        [switch.providers.groq]
        base_url = "https://api.groq.test/openai/v1"
        api_key_env = "GROQ_API_KEY"
        models = ["llama-3.3-70b", "qwen*"]
        breaker = { failure_threshold = 9 }
        prefill = true
        [switch.models.fast]
        strategy = "least_latency"
        sticky = true
        targets = ["groq/llama-3.3-70b", { target = "mock/mock", weight = 3, when = { tag = { tier = "free" } } }]
        shadow = { target = "mock/mock-small", percent = 5 }
        on_divergence = "error"
        "#,
    )
    .expect("valid");
    let groq = &config.all_providers(&Urls::default())["groq"];
    assert_eq!((groq.breaker.failure_threshold, groq.breaker.open_for), (9, Duration::from_secs(30)));
    assert_eq!((groq.default_model(), groq.prefill), (Some("llama-3.3-70b"), true));
    let models = config.all_models();
    let fast = &models["fast"];
    assert_eq!((fast.strategy, fast.sticky), (StrategyConfig::LeastLatency, true));
    assert_eq!((fast.targets[0].weight, fast.targets[1].weight), (1, 3));
    assert_eq!(fast.targets[1].when.tag["tier"], "free");
    assert_eq!(fast.shadow.as_ref().map(|shadow| shadow.percent), Some(5));
    assert_eq!(fast.on_divergence, OnDivergence::Error);
    assert_eq!(models[DEFAULT_MODEL].on_divergence, OnDivergence::Continue);
}

#[test]
fn mistakes_name_their_field() {
    let mistakes = [
        ("[switch.models.m]\ntargets = []", "switch.models.m.targets: "),
        ("[switch.models.m]\ntargets = [\"mock\"]", "switch.models.m.targets[0]: "),
        (
            "[switch.models.m]\ntargets = [\"mock/a\", \"nobody/b\"]",
            "switch.models.m.targets[1]: there is no provider `nobody`",
        ),
        ("[switch.models.m]\ntargets = [{ target = \"mock/a\", canary = 101 }]", "switch.models.m.targets[0].canary: "),
        ("[switch.models.m]\ntargets = [{ target = \"mock/a\", canary = 5 }]", "switch.models.m.targets: "),
        ("[switch.models.m]\ntargets = [\"mock/a\"]\nshadow = { target = \"x\" }", "switch.models.m.shadow.target: "),
        ("[switch.cache]\nttl = \"0s\"", "switch.cache.ttl: "),
        ("[switch.cache]\nmax_bytes = 9", "switch.cache.max_answer_bytes: "),
        ("[switch.retries]\nattempts = 3", "switch.retries.attempts: "),
        ("[switch.providers.mock]\nconcurrency = { min = 5, max = 4 }", "switch.providers.mock.concurrency: "),
        ("[switch.providers.mock]\nenabled = false", "switch.models.default.targets: "),
        ("[switch.providers.mock]\ntimeout = \"0s\"", "switch.providers.mock.timeout: "),
        (
            "[switch.providers.mock]\nbreaker = { failure_threshold = 0 }",
            "switch.providers.mock.breaker.failure_threshold: ",
        ),
        ("[switch.providers.mock]\nmodels = [\"a*b\"]", "switch.providers.mock.models[0]: "),
        ("[switch.providers.x]\nmodels = [\"a\"]", "switch.providers.x.base_url: "),
        ("[switch.providers.x]\nmodels = [\"a*\"]\nbase_url = \"http://x/v1\"", "switch.providers.x.default_model: "),
        ("[switch.providers.x]\nmodels = [\"a\"]\nbase_url = \"ftp://x/v1\"", "switch.providers.x.base_url: "),
        (
            "[switch.providers.x]\nmodels = [\"a\"]\nbase_url = \"http://x\"\napi_version = \"1\"",
            "switch.providers.x.api_version: ",
        ),
        (
            "[switch.providers.x]\nkind = \"anthropic\"\nmodels = [\"a\"]\ndefault_max_tokens = 0",
            "switch.providers.x.default_max_tokens: ",
        ),
        ("[switch.providers.\"x/y\"]\nmodels = [\"a\"]\nbase_url = \"http://x/v1\"", "switch.providers.x/y: "),
        ("[switch.prices.\"a*b\"]\ninput = 1\noutput = 1", "switch.prices.a*b: "),
        ("[switch.prices.a]\ninput = 0.0000001\noutput = 1", "switch.prices.a.input: "),
        ("[switch.keys.k]", "switch.keys.k: needs either `sha256` or `secret_env`"),
        ("[switch.keys.k]\nsha256 = \"abc\"", "switch.keys.k.sha256: "),
        ("[switch.keys.\"k k\"]\nsecret_env = \"K\"", "switch.keys.k k: a name is"),
        ("[switch.keys.internal]\nsecret_env = \"K\"", "switch.keys.internal: "),
        ("[switch.keys.k]\nsecret_env = \"K\"\norg = \"o\"\nteam = \"t\"", "switch.keys.k.team: "),
        ("[switch.keys.k]\nsecret_env = \"K\"\nmodels = [\"a*\", \"a*b\"]", "switch.keys.k.models[1]: "),
        ("[switch.orgs.\"o:o\"]", "switch.orgs.o:o: "),
    ];
    for (toml, expected) in mistakes {
        let error = load_file(toml).expect_err(toml).to_string();
        assert!(error.starts_with(expected), "{toml}\n{error}");
    }
    assert!(
        load_file("[switch.providers.mock]\ntimeuot = \"1s\"").expect_err("misspelt").to_string().contains("timeuot")
    );
}

#[test]
fn a_kind_that_is_one_company_needs_no_address() {
    let config = load_file(
        r#"
        [switch.providers.claude]
        kind = "anthropic"
        models = ["claude-x"]
        [switch.providers.google]
        kind = "gemini"
        models = ["gemini-x"]
        [switch.providers.azure]
        kind = "azure-openai"
        base_url = "https://x.openai.azure.com"
        models = ["gpt-x"]
        api_version = "2024-10-21"
        "#,
    )
    .expect("valid");
    let providers = config.all_providers(&Urls::default());
    let address = |name: &str| providers[name].base_url().expect("known").to_string();
    assert_eq!(address("claude"), "https://api.anthropic.com/v1");
    assert_eq!(address("google"), "https://generativelanguage.googleapis.com/v1beta");
    assert_eq!(providers["azure"].kind.as_str(), "azure-openai");
}

#[test]
fn a_password_in_a_url_is_refused_without_being_repeated() {
    let error =
        load_file("[switch.providers.x]\nmodels = [\"a\"]\nbase_url = \"http://u:hunter2@x/v1\"").expect_err("refused");
    assert!(error.to_string().starts_with("switch.providers.x.base_url: "), "{error}");
    assert!(!error.to_string().contains("hunter2"));
}
