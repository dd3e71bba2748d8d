use super::super::tokens::Tokens;
use super::*;

fn usd(text: &str) -> Usd {
    text.parse().expect("an amount")
}

#[test]
fn the_shipped_table_is_whole_and_as_the_configuration_must_be() {
    let shipped = shipped().expect("a table");
    assert!(shipped.len() > 80, "{}", shipped.len());
    shipped.iter().for_each(|(pattern, price)| price.check(pattern).expect("a price"));
    let table = PriceTable::new(&BTreeMap::new());
    let dotted = shipped.keys().filter_map(|pattern| with_dots(pattern)).count();
    assert_eq!(table.exact.len() + table.prefixes.len(), shipped.len() + dotted);
    let price = table.find("claude-sonnet-4-5-20250929").expect("a price");
    let writes = [price.cache_write, price.cache_write_1h];
    assert_eq!(writes, ["3.75", "6"].map(|text| per_token(usd(text))));
    let price = table.find("gpt-4o").expect("a price");
    assert_eq!([price.cache_write, price.cache_write_1h], [price.input, price.input]);
    let price = table.find("gpt-5.5").expect("a price");
    assert_eq!(price.tiers, Tiers { flex: 500, priority: 2500, ultrafast: 1000 });
    assert_eq!(table.find("mock").map(|price| price.tiers), Some(Tiers::ALIKE));
}

#[test]
fn who_is_served_first_pays_what_is_published_for_that() {
    let table = PriceTable::new(&BTreeMap::new());
    for (model, priority) in [
        ("gpt-4.1-mini-2025-04-14", 1750),
        ("gpt-4.1-nano", 2000),
        ("gpt-4o-2024-08-06", 1700),
        ("gpt-4o-2024-11-20", 1700),
        ("gpt-4o-2024-05-13", 1750),
        ("o3-2025-04-16", 1750),
        ("o3-mini", 1000),
        ("claude-opus-5-5", 2000),
    ] {
        assert_eq!(table.find(model).map(|price| price.tiers.priority), Some(priority), "{model}");
    }
}

#[test]
fn a_later_generation_has_its_own_price() {
    let table = PriceTable::new(&BTreeMap::new());
    for (model, expected) in [
        ("claude-opus-5", ["5", "25", "0.5", "6.25", "10"]),
        ("claude-opus-5-5", ["4", "20", "0.2", "5", "8"]),
        ("claude-sonnet-5-5", ["2", "10", "0.1", "2.5", "4"]),
        ("claude-haiku-5-5", ["0.1", "0.5", "0.01", "0.125", "0.2"]),
    ] {
        let price = table.find(model).expect("a price");
        let got = [price.input, price.output, price.cached_input, price.cache_write, price.cache_write_1h];
        assert_eq!(got, expected.map(|text| per_token(usd(text))), "{model}");
    }
}

#[test]
fn a_model_that_hears_speaks_or_draws_does_not_have_the_price_of_one_that_writes() {
    let table = PriceTable::new(&BTreeMap::new());
    for (model, output) in [
        ("gemini-2.5-flash-image", "30"),
        ("gemini-2.5-flash-image-preview", "30"),
        ("gemini-3-pro-image-preview", "120"),
        ("gemini-3.1-flash-image-preview", "60"),
        ("gemini-2.0-flash-preview-image-generation", "30"),
        ("gemini-2.5-flash-preview-tts", "10"),
        ("gpt-4o-audio-preview", "80"),
        ("gpt-4o-mini-audio-preview-2024-12-17", "20"),
        ("gpt-3.5-turbo-instruct", "2"),
        ("gpt-4-32k", "120"),
        ("gpt-4", "60"),
        ("gpt-4-0613", "60"),
        ("gpt-4-0125-preview", "30"),
        ("gpt-4-1106-preview", "30"),
        ("gpt-4-1106-vision-preview", "30"),
        ("gpt-4-turbo-2024-04-09", "30"),
        ("gpt-4-vision-preview", "30"),
        ("o1-mini", "4.4"),
    ] {
        let price = table.find(model).map(|price| price.output.times(PER).to_string());
        assert_eq!(price.as_deref(), Some(output), "{model}");
    }
}

#[test]
fn a_long_prompt_makes_every_token_of_its_call_dearer() {
    let table = PriceTable::new(&BTreeMap::new());
    let price = table.find("gemini-2.5-pro").expect("a price");
    let cost = |prompt| price.of(Tokens { prompt, cached: 100_000, completion: 1000, ..Tokens::default() }).to_string();
    // 100,000 × 1.25 + 100,000 × 0.125 + 1000 × 10, a million of each.
    assert_eq!(cost(200_000), "0.1475");
    // 100,001 × 2.5 + 100,000 × 0.25 + 1000 × 15.
    assert_eq!(cost(200_001), "0.2900025");
}

#[test]
fn the_longest_pattern_that_fits_is_the_models_price() {
    let table = PriceTable::new(&BTreeMap::new());
    let input = |model: &str| table.find(model).map(|price| price.input.times(PER).to_string());
    for (model, expected) in [
        ("gpt-4o", "2.5"),
        ("gpt-4o-2024-08-06", "2.5"),
        ("gpt-4o-mini-2024-07-18", "0.15"),
        ("openai/gpt-4.1-nano", "0.1"),
        ("claude-opus-4-1-20250805", "15"),
        ("claude-opus-4-5-20251101", "5"),
        ("gpt-5-2025-08-07", "1.25"),
        ("gpt-5.5-2026-04-23", "5"),
        ("mock-large", "1"),
    ] {
        assert_eq!(input(model).as_deref(), Some(expected), "{model}");
    }
    assert_eq!(input("somebodys-own-model"), None);
}

#[test]
fn aggregators_write_dots_vendors_and_ways_to_serve() {
    let table = PriceTable::new(&BTreeMap::new());
    for (theirs, ours) in [
        ("anthropic/claude-opus-5", "claude-opus-5"),
        ("anthropic/claude-opus-5.5", "claude-opus-5-5"),
        ("anthropic/claude-sonnet-5", "claude-sonnet-5"),
        ("anthropic/claude-sonnet-5.5", "claude-sonnet-5-5"),
        ("anthropic/claude-haiku-5.5", "claude-haiku-5-5"),
        ("anthropic/claude-fable-5", "claude-fable-5"),
        ("anthropic/claude-fable-5.1", "claude-fable-5-1"),
        ("anthropic/claude-opus-4", "claude-opus-4-20250514"),
        ("anthropic/claude-opus-4.1", "claude-opus-4-1"),
        ("anthropic/claude-opus-4.5", "claude-opus-4-5"),
        ("claude-opus-4.5-20251101", "claude-opus-4-5-20251101"),
        ("anthropic/claude-opus-4.6", "claude-opus-4-6"),
        ("anthropic/claude-opus-4.7", "claude-opus-4-7"),
        ("anthropic/claude-opus-4.8", "claude-opus-4-8"),
        ("anthropic/claude-sonnet-4", "claude-sonnet-4-20250514"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("anthropic/claude-sonnet-4.6", "claude-sonnet-4-6"),
        ("anthropic/claude-haiku-4.5", "claude-haiku-4-5"),
        ("anthropic/claude-3.7-sonnet", "claude-3-7-sonnet"),
        ("anthropic/claude-3.7-sonnet:thinking", "claude-3-7-sonnet"),
        ("anthropic/claude-3.5-sonnet", "claude-3-5-sonnet"),
        ("anthropic/claude-3.5-sonnet-20240620:beta", "claude-3-5-sonnet"),
        ("anthropic/claude-3.5-haiku", "claude-3-5-haiku"),
        ("anthropic/claude-3-opus", "claude-3-opus"),
        ("anthropic/claude-3-haiku:beta", "claude-3-haiku"),
        ("openai/gpt-4o", "gpt-4o"),
        ("openai/gpt-4o:extended", "gpt-4o"),
        ("openai/gpt-4o-2024-05-13:nitro", "gpt-4o-2024-05-13"),
        ("openai/gpt-4.1-mini", "gpt-4.1-mini"),
        ("openai/gpt-5.5", "gpt-5.5"),
        ("openai/gpt-4-turbo-preview", "gpt-4-turbo"),
        ("openai/gpt-4-1106-preview", "gpt-4-turbo"),
        ("openai/gpt-oss-120b:nitro", "openai/gpt-oss-120b"),
        ("openrouter/anthropic/claude-opus-4.5:floor", "claude-opus-4-5"),
        ("google/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google/gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("deepseek/deepseek-chat", "deepseek-chat"),
        ("deepseek/deepseek-chat:nitro", "deepseek-chat"),
        ("mistralai/mistral-large-2411:floor", "mistral-large-2411"),
        ("mistralai/mistral-medium-3.1", "mistral-medium-2508"),
        ("mistralai/mistral-medium-3.5", "mistral-medium-latest"),
        ("mistralai/codestral-2508", "codestral-latest"),
        ("x-ai/grok-4.3:nitro", "grok-4.3"),
    ] {
        assert!(table.find(ours).is_some(), "{ours}");
        let [theirs_costs, ours_costs] = [theirs, ours].map(|model| table.find(model));
        assert_eq!(theirs_costs, ours_costs, "{theirs}");
    }
    for model in ["deepseek/deepseek-chat:free", "google/gemini-2.5-pro:free", "somebody/s-model:free"] {
        assert_eq!(table.find(model), Some(FREE), "{model}");
    }
    assert_eq!(table.find("gpt-4o:free"), table.find("gpt-4o"), "who has no vendor is no aggregator's");
    assert_eq!(table.find("ft:o1-like:org::beta"), None);
    assert_eq!(table.find("somebody/s-model:nitro"), None);
}

#[test]
fn a_version_has_dots_and_a_date_has_none() {
    for (pattern, expected) in [
        ("claude-opus-4-5*", Some("claude-opus-4.5*")),
        ("claude-3-5-sonnet*", Some("claude-3.5-sonnet*")),
        ("claude-opus-4-5-20251101", Some("claude-opus-4.5-20251101")),
        ("vendor/m-4-10", Some("vendor/m-4.10")),
        ("claude-opus-4*", None),
        ("claude-opus-4-20250514", None),
        ("gpt-4-32k*", None),
        ("gpt-4-*", None),
        ("-4", None),
        ("*", None),
        ("", None),
    ] {
        assert_eq!(with_dots(pattern).as_deref(), expected, "{pattern}");
    }
}

#[test]
fn a_configured_spelling_has_its_own_price_and_the_other_one_where_it_says_nothing() {
    let config = |input: &str| {
        let text = format!("input = {input}\noutput = 1");
        Figment::from(Toml::string(&text)).extract::<PriceConfig>().expect("a price")
    };
    let input = |configured: &[(&str, &str)], model: &str| {
        let configured = configured.iter().map(|(name, price)| ((*name).to_owned(), config(price))).collect();
        PriceTable::new(&configured).find(model).map(|price| price.input.times(PER).to_string())
    };
    let dashes = ("claude-opus-4-5*", "7");
    let dots = ("claude-opus-4.5*", "8");
    assert_eq!(input(&[dashes], "anthropic/claude-opus-4.5").as_deref(), Some("7"));
    assert_eq!(input(&[dashes, dots], "anthropic/claude-opus-4.5").as_deref(), Some("8"));
    assert_eq!(input(&[dots], "claude-opus-4-5").as_deref(), Some("5"));
    assert_eq!(input(&[("vendor/mine:free", "9")], "vendor/mine:free").as_deref(), Some("9"));
}

#[test]
fn a_pattern_is_found_whatever_stands_beside_it() {
    let price = PriceTable::new(&BTreeMap::new()).find("mock").expect("a price");
    let prefixes = ["", "a", "ab", "abc-d", "abé", "b"].map(|prefix| (prefix.to_owned(), price));
    let table = PriceTable { exact: BTreeMap::new(), prefixes: prefixes.into() };
    let longest = |model: &str| table.longest_prefix(model).map(|index| table.prefixes[index].0.as_str());
    for (model, expected) in [
        ("", ""),
        ("a", "a"),
        ("aa", "a"),
        ("abc-", "ab"),
        ("abc-de", "abc-d"),
        ("abè", "ab"),
        ("abéb", "abé"),
        ("zz", ""),
    ] {
        assert_eq!(longest(model), Some(expected), "{model}");
    }
}

#[test]
fn a_configured_price_replaces_the_shipped_one_and_fills_in_what_it_leaves_out() {
    let config = PriceConfig {
        input: usd("7"),
        output: usd("9"),
        cached_input: None,
        cache_write: None,
        cache_write_1h: None,
        reasoning: None,
        long: None,
        tiers: None,
    };
    let names = ["gpt-4o*", "gpt-4o-2024-08-06"];
    let table = PriceTable::new(&names.map(|name| (name.to_owned(), config.clone())).into());
    for model in ["gpt-4o", "gpt-4o-2024-08-06"] {
        let price = table.find(model).expect("a price");
        assert_eq!((price.input, price.cached_input), (per_token(usd("7")), per_token(usd("7"))), "{model}");
        assert_eq!((price.cache_write, price.cache_write_1h), (price.input, price.input), "{model}");
        assert_eq!((price.output, price.reasoning), (per_token(usd("9")), per_token(usd("9"))), "{model}");
    }
    let dearer = PriceConfig { cache_write: Some(usd("8")), ..config };
    let table = PriceTable::new(&[("gpt-4o*".to_owned(), dearer)].into());
    assert_eq!(table.find("gpt-4o").map(|price| price.cache_write_1h), Some(per_token(usd("8"))));
    assert_eq!(table.find("gpt-4o-mini").map(|price| price.input), Some(per_token(usd("0.15"))));
}
