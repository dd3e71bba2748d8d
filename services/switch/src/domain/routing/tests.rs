use super::*;
use crate::domain::strategy::{Choice, Condition, Strategy};

fn served(name: &str, patterns: &[&str], default_model: &str) -> Served {
    let patterns = patterns.iter().map(|pattern| (*pattern).into()).collect();
    Served { name: name.to_owned(), patterns, default_model: default_model.into() }
}

fn routes() -> Routes {
    let providers = vec![served("a", &["llama", "gpt-*"], "llama"), served("b", &["llama", "meta/llama"], "llama")];
    let models = [
        ("default".to_owned(), route(Strategy::Ordered, &["a/llama", "gone/x"])),
        ("both".to_owned(), route(Strategy::Ordered, &["b/llama", "a/gpt-4"])),
    ];
    Routes::new(providers, models)
}

fn choice(name: &str) -> Choice {
    Choice { name: name.to_owned(), weight: 1, price: None, canary: None, when: Condition::default() }
}

fn route(strategy: Strategy, targets: &[&str]) -> Route {
    let choices = targets.iter().map(|name| choice(name)).collect();
    let plan = Plan { strategy, sticky: false, choices };
    Route { plan, ..Route::default() }
}

#[test]
fn the_plan_arranges_what_is_there_and_those_for_longer_requests_stay_last() {
    let mut fast = route(Strategy::LeastLatency, &["gone/x", "a/slow", "b/fast"]);
    fast.larger = vec!["a/large".to_owned()];
    fast.shadow = Some(("b/new".to_owned(), 50));
    let routes = Routes { models: BTreeMap::new(), ..routes() };
    let routes = Routes::new(routes.providers, [("fast".to_owned(), fast)]);
    let asker = Asker { header: &|_| None, tag: &|_| None, bytes: 0, org: None, session: &|| None };
    let cost = |target: &Target| Duration::from_secs(if &*target.model == "slow" { 2 } else { 1 });
    let found = routes.find("fast", None).expect("configured");
    let arranged = routes.arrange("fast", found, &asker, &|_| true, || 0.0, cost);
    let names: Vec<_> = arranged.iter().map(|target| (&*target.model, target.larger)).collect();
    assert_eq!(names, [("fast", false), ("slow", false), ("large", true)]);
    assert_eq!(routes.shadow("fast", || 0.4).map(|target| &*target.model), Some("new"));
    assert_eq!(routes.shadow("fast", || 0.6), None);
}

#[test]
fn what_a_target_cannot_do_changes_nothing_about_what_the_others_are_for() {
    let choice = |name: &str, org: Option<&str>| Choice {
        when: Condition { orgs: org.map(str::to_owned).into_iter().collect(), ..Condition::default() },
        ..choice(name)
    };
    let asked = |choices: Vec<Choice>, org: Option<&str>| {
        let route = Route { plan: Plan { choices, ..Plan::default() }, ..Route::default() };
        let routes = Routes::new(routes().providers, [("m".to_owned(), route)]);
        let asker = Asker { header: &|_| None, tag: &|_| None, bytes: 0, org, session: &|| None };
        let found = routes.find("m", None).expect("configured");
        let can = |target: &Target| &*target.model != "unable";
        let arranged = routes.arrange("m", found, &asker, &can, || 0.0, |_| Duration::ZERO);
        arranged.iter().map(|target| target.model.to_string()).collect::<Vec<_>>()
    };
    let two = || vec![choice("a/unable", None), choice("b/acmes", Some("acme"))];
    assert_eq!(asked(two(), None), [""; 0], "the one that is left is not for everybody");
    assert_eq!(asked(two(), Some("acme")), ["acmes"]);
    let three = || vec![choice("a/unable", Some("acme")), choice("b/acmes", Some("acme")), choice("b/last", None)];
    assert_eq!(asked(three(), None), ["last"]);
    assert_eq!(asked(three(), Some("acme")), ["acmes", "last"]);
}

fn names(found: Result<Arc<[Target]>, NoRoute>) -> Vec<String> {
    let routes = routes();
    let name =
        |target: &Target| format!("{}/{} {}", routes.providers[target.provider].name, target.model, target.label);
    found.expect("a route").iter().map(name).collect()
}

#[test]
fn a_configured_name_leads_to_its_targets_in_order() {
    assert_eq!(names(routes().find("both", None)), ["b/llama llama", "a/gpt-4 gpt-4"]);
    assert_eq!(names(routes().find("default", None)), ["a/llama llama"], "a provider that is off is left out");
}

#[test]
fn a_served_name_leads_to_everyone_who_serves_it() {
    assert_eq!(names(routes().find("llama", None)), ["a/llama llama", "b/llama llama"]);
    assert_eq!(names(routes().find("meta/llama", None)), ["b/meta/llama meta/llama"]);
}

#[test]
fn what_callers_choose_freely_is_labelled_by_its_pattern() {
    assert_eq!(names(routes().find("gpt-4o", None)), ["a/gpt-4o gpt-*"]);
    assert_eq!(names(routes().find("b/anything", None)), ["b/anything other"]);
}

#[test]
fn the_labels_of_a_provider_are_those_that_its_targets_can_have() {
    let routes = routes();
    for name in ["both", "default", "gpt-4o", "b/anything", "b/llama"] {
        for target in routes.find(name, None).expect("a route").iter() {
            let labels = routes.labels()[target.provider].all();
            assert_eq!(&*labels[target.label.place], &*target.label, "{name}");
        }
    }
    assert_eq!(
        routes.labels()[0].all().iter().map(|label| &**label).collect::<Vec<_>>(),
        ["gpt-*", "gpt-4", "llama", "other"]
    );
}

#[test]
fn a_model_has_one_label_whichever_way_leads_to_it() {
    for way in ["gpt-4", "a/gpt-4"] {
        assert_eq!(names(routes().find(way, None)), ["a/gpt-4 gpt-4"], "a target of `both`");
    }
    assert_eq!(names(routes().find("a/gpt-5", None)), ["a/gpt-5 gpt-*"]);
}

#[test]
fn a_pin_leaves_one_target() {
    assert_eq!(names(routes().find("both", Some("a"))), ["a/gpt-4 gpt-4"]);
    assert_eq!(names(routes().find_default("default", Some("b"))), ["b/llama llama"], "its own default");
    let known = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(routes().find("llama", Some("c")), Err(NoRoute::UnknownProvider(known.clone())));
    assert_eq!(routes().find_default("default", Some("c")), Err(NoRoute::UnknownProvider(known)));
    assert!(matches!(routes().find("gpt-4o", Some("b")), Err(NoRoute::ModelNotFound(_))));
}

#[test]
fn an_unknown_model_names_the_known_ones() {
    let known = ["both", "default", "gpt-*", "llama", "meta/llama"].map(str::to_owned).to_vec();
    for model in ["nothing", "", "a/", "/llama"] {
        assert_eq!(routes().find(model, None), Err(NoRoute::ModelNotFound(known.clone())), "{model}");
    }
}

#[test]
fn the_list_has_plain_names_of_usable_providers_and_all_configured_ones() {
    let routes = routes();
    let listed: Vec<_> = routes.listed(|provider| provider == 1).into_iter().collect();
    assert_eq!(listed, [("both", "b"), ("default", "a"), ("llama", "b"), ("meta/llama", "b")]);
}
