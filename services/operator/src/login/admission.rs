//! Who may come in of those that a provider knows. What is not named may not.

use crate::config::ProviderConfig;

/// Who may come.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    logins: Vec<String>,
    domains: Vec<String>,
    everybody: bool,
}

/// What a provider vouches for of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Vouched {
    /// What it is called there, in whatever case, in ways that are nobody else's now.
    pub(super) names: Vec<String>,
    /// Its ids there, to the letter.
    pub(super) ids: Vec<String>,
    /// Domains that it is of.
    pub(super) domains: Vec<String>,
}

impl Admission {
    pub(super) fn new(config: &ProviderConfig) -> Self {
        let trimmed = |texts: &[String], first: &[char]| {
            let texts = texts.iter().map(|text| text.trim().trim_start_matches(first).to_owned());
            texts.filter(|text| !text.is_empty()).collect()
        };
        Self {
            logins: trimmed(&config.allowed_logins, &[]),
            domains: trimmed(&config.allowed_domains, &['@']),
            everybody: config.allow_everybody,
        }
    }

    /// Whether it may come in.
    pub(super) fn admits(&self, vouched: &Vouched) -> bool {
        let in_any_case = |listed: &[String], said: &[String]| {
            said.iter().any(|said| listed.iter().any(|listed| listed.eq_ignore_ascii_case(said)))
        };
        self.everybody
            || in_any_case(&self.logins, &vouched.names)
            || vouched.ids.iter().any(|id| self.logins.contains(id))
            || in_any_case(&self.domains, &vouched.domains)
    }
}

/// The domain of an address.
pub(super) fn domain_of(email: &str) -> Option<String> {
    email.rsplit_once('@').map(|(_, domain)| domain.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn admits(config: Value, vouched: &Vouched) -> bool {
        let mut provider = json!({"kind": "github", "client_id": "x"});
        provider.as_object_mut().expect("an object").extend(config.as_object().expect("an object").clone());
        Admission::new(&serde_json::from_value(provider).expect("its shape fits")).admits(vouched)
    }

    #[test]
    fn only_who_is_named_comes_in() {
        let (names, ids) = (vec!["Ada".to_owned()], vec!["a1B2".to_owned()]);
        let ada = Vouched { names, ids, domains: vec!["Example.com".to_owned()] };
        assert!(!admits(json!({}), &ada), "nobody, where nobody is named");
        assert!(!admits(json!({}), &Vouched::default()));
        assert!(admits(json!({"allowed_logins": ["bob", " ADA "]}), &ada));
        assert!(admits(json!({"allowed_logins": ["a1B2"]}), &ada));
        assert!(!admits(json!({"allowed_logins": ["A1B2"]}), &ada), "an id is one to the letter");
        assert!(admits(json!({"allowed_domains": ["@example.com"]}), &ada));
        assert!(admits(json!({"allow_everybody": true}), &Vouched::default()));
        assert!(!admits(json!({"allowed_logins": ["bob"], "allowed_domains": ["example.org"]}), &ada));
        assert!(!admits(json!({"allowed_logins": ["example.com"], "allowed_domains": ["ada"]}), &ada));
        let empty = Vouched { names: vec![String::new()], ids: vec![String::new()], domains: vec![String::new()] };
        assert!(!admits(json!({"allowed_logins": [""], "allowed_domains": ["", "@"]}), &empty));
        for other in ["evil-example.com", "sub.example.com", "example.com.evil"] {
            let vouched = Vouched { domains: vec![other.to_owned()], ..Vouched::default() };
            assert!(!admits(json!({"allowed_domains": ["example.com"]}), &vouched), "{other}");
        }
        assert_eq!(domain_of("\"a@evil\"@example.com").as_deref(), Some("example.com"));
        assert_eq!(domain_of("nobody"), None);
    }
}
