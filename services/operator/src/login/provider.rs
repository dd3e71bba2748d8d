//! One provider of the configuration: how it is spoken to, who may come from there, and what they are called here.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Semaphore;
use url::Url;
use vx11_chassis::config::Secrets;
use vx11_contracts::identity::{MAX_NAME_CHARS, OrgId, Role};
use vx11_identity::{IdToken, LoginState, Sha256};

use super::admission::{Admission, Vouched, domain_of};
use super::fetch::Fetch;
use super::github::{GitHub, User};
use super::oidc::Oidc;
use super::{Denied, ProviderError, turn};
use crate::config::{ProviderConfig, ProviderKind};
use crate::control::Person;

/// Most characters of what a pilot is called within its provider.
const MAX_LOGIN_CHARS: usize = 128;
/// Most characters of an address for mail.
const MAX_EMAIL_CHARS: usize = 254;

/// Logins that one provider is asked about at a time.
const MOST_CALLS: usize = 16;
/// Longest time for all that it is asked in one login.
const PROVIDER_LIMIT: Duration = Duration::from_secs(25);

/// One provider.
#[derive(Debug)]
pub(super) struct Provider {
    /// Its name in the configuration.
    pub(super) id: String,
    /// Its name for people.
    pub(super) label: String,
    /// The organisation that its people are pilots of.
    pub(super) org: OrgId,
    /// The role of who comes for the first time.
    pub(super) role: Role,
    kind: ProviderKind,
    /// Who says who its people are; its pilots are this one's for good.
    issuer: String,
    admission: Admission,
    way: Way,
    /// Its own: who waits for one that does not answer keeps nobody from another.
    calls: Arc<Semaphore>,
}

#[derive(Debug)]
enum Way {
    Oidc(Box<Oidc>),
    GitHub(Box<GitHub>),
}

impl Provider {
    pub(super) fn new(id: &str, config: &ProviderConfig, secrets: &Secrets, fetch: &Fetch) -> anyhow::Result<Self> {
        let name = config.secret_name(id);
        let client_secret = secrets.get(&name)?;
        if client_secret.is_none() && config.kind != ProviderKind::Oidc {
            anyhow::bail!("operator.login.providers.{id}: its secret is in no variable: set {name}, or {name}_FILE");
        }
        let (fetch, client_id) = (fetch.clone(), config.client_id.clone());
        let mut issuer = config.issuer();
        let way = match config.kind {
            ProviderKind::Github => {
                let url = config.url.clone().map_or_else(|| Url::parse("https://github.com/"), Ok)?;
                issuer = url.to_string();
                let api = GitHub::api_of(&url).with_context(|| format!("{url} has no API"))?;
                Way::GitHub(Box::new(GitHub { fetch, url, api, client_id, client_secret }))
            }
            _ => Way::Oidc(Box::new(Oidc {
                fetch,
                issuer: issuer.clone(),
                client_id,
                client_secret,
                tenant: config.tenant.clone(),
                memory: Default::default(),
            })),
        };
        Ok(Self {
            id: id.to_owned(),
            label: config.label.clone().unwrap_or_else(|| id.to_owned()),
            org: config.org.clone(),
            role: config.role,
            kind: config.kind,
            issuer,
            admission: Admission::new(config),
            way,
            calls: Arc::new(Semaphore::new(MOST_CALLS)),
        })
    }

    /// Asks it something, in its turn.
    pub(super) async fn ask<T>(&self, asked: impl Future<Output = Result<T, ProviderError>>) -> Result<T, Denied> {
        let _turn = turn(&self.calls).await?;
        let answered = tokio::time::timeout(PROVIDER_LIMIT, asked).await;
        let late = || Err(ProviderError::Away("it did not answer in time".to_owned()));
        Ok(answered.unwrap_or_else(|_| late())?)
    }

    /// Where the browser is sent for `login`.
    pub(super) async fn authorize(&self, login: &LoginState, redirect: &str) -> Result<Url, ProviderError> {
        match &self.way {
            Way::Oidc(oidc) => oidc.authorize(login, redirect).await,
            Way::GitHub(github) => github.authorize(login, redirect),
        }
    }

    /// Who has logged in, and whether it may come in.
    pub(super) async fn redeem(
        &self,
        login: &LoginState,
        code: &str,
        issuer: Option<&str>,
        redirect: &str,
    ) -> Result<(Person, bool), ProviderError> {
        let (person, vouched) = match &self.way {
            Way::Oidc(oidc) => self.of_token(oidc.redeem(login, code, issuer, redirect).await?),
            Way::GitHub(github) => self.of_user(github.redeem(login, code, redirect).await?),
        };
        let is_admitted = self.admission.admits(&vouched);
        Ok((person, is_admitted))
    }

    fn of_user(&self, user: User) -> (Person, Vouched) {
        let domains = user.emails.iter().filter_map(|email| domain_of(email)).collect();
        let id = user.id.to_string();
        let name = user.name.unwrap_or_else(|| user.login.clone());
        let person = self.person(id, &user.login, &name, user.emails.into_iter().next());
        // Logins can be all digits, as ids are: one that is listed would let in whose id it is.
        (person, Vouched { names: vec![user.login], ids: Vec::new(), domains })
    }

    fn of_token(&self, token: IdToken) -> (Person, Vouched) {
        let IdToken { sub, profile, .. } = token;
        // Without the provider's word an address may be anybody's.
        let email = profile.email.filter(|_| profile.email_verified);
        let domains = match self.kind {
            // Anybody can have a Google account with an address of a domain; that the domain has the account is said here.
            ProviderKind::Google => profile.hd,
            ProviderKind::Entra => None,
            _ => email.as_deref().and_then(domain_of),
        };
        let known_as = match self.kind {
            // Given by the tenant's own administrators.
            ProviderKind::Entra => profile.preferred_username.clone(),
            _ => email.clone(),
        };
        let known_as = known_as.unwrap_or_else(|| sub.clone());
        let name = profile.name.or(profile.preferred_username).unwrap_or_else(|| known_as.clone());
        let ids = [Some(sub.clone()), profile.oid.filter(|_| self.kind == ProviderKind::Entra)];
        let vouched = Vouched {
            names: email.iter().cloned().collect(),
            ids: ids.into_iter().flatten().collect(),
            domains: domains.into_iter().collect(),
        };
        (self.person(sub, &known_as, &name, email), vouched)
    }

    fn person(&self, oauth_id: String, known_as: &str, name: &str, email: Option<String>) -> Person {
        let known_as = [known_as, &oauth_id].into_iter().find(|text| is_fit(text)).map(str::to_owned);
        let known_as = known_as.unwrap_or_else(|| Sha256::of(oauth_id.as_bytes()).to_string());
        let name: String = name.chars().filter(|char| !char.is_control()).take(MAX_NAME_CHARS).collect();
        let email = email.filter(|email| email.chars().count() <= MAX_EMAIL_CHARS && !email.contains(char::is_control));
        let name = if name.trim().is_empty() { known_as.clone() } else { name.trim().to_owned() };
        let (provider, issuer, pilot_id) = (self.id.clone(), self.issuer.clone(), format!("{}:{known_as}", self.id));
        Person { provider, issuer, oauth_id, pilot_id, name, email }
    }
}

/// Whether a name can stand in an address, a log line and a table as it is.
fn is_fit(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@+|:=".contains(&byte);
    (1..=MAX_LOGIN_CHARS).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn provider(config: Value) -> Provider {
        let config: ProviderConfig = serde_json::from_value(config).expect("its shape fits");
        let secrets = [("VX11_LOGIN_CORP_SECRET".to_owned(), "s3cret".to_owned())].into_iter().collect();
        Provider::new("corp", &config, &secrets, &Fetch::default()).expect("a provider")
    }

    fn token(change: Value) -> IdToken {
        let mut claims = json!({"iss": "i", "aud": "a", "exp": 1, "iat": 1, "sub": "S1"});
        claims.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        serde_json::from_value(claims).expect("its shape fits")
    }

    #[test]
    fn only_what_a_provider_vouches_for_counts() {
        let oidc = provider(json!({"kind": "oidc", "issuer": "https://i", "client_id": "x"}));
        let unverified = token(json!({"email": "ada@example.com", "preferred_username": "root", "hd": "example.com"}));
        let (person, vouched) = oidc.of_token(unverified);
        assert_eq!(vouched, Vouched { ids: vec!["S1".to_owned()], ..Vouched::default() });
        assert_eq!((person.pilot_id.as_str(), person.email, person.name.as_str()), ("corp:S1", None, "root"));
        let (person, vouched) = oidc.of_token(token(json!({"email": "ada@example.com", "email_verified": true})));
        assert_eq!(vouched.domains, ["example.com"]);
        assert_eq!((person.pilot_id.as_str(), person.oauth_id.as_str()), ("corp:ada@example.com", "S1"));

        let google = provider(json!({"kind": "google", "client_id": "x"}));
        let private = token(json!({"email": "ada@example.com", "email_verified": true}));
        assert_eq!(
            google.of_token(private).1.domains,
            [""; 0],
            "an account of her own, with an address of the company's"
        );
        assert_eq!(google.of_token(token(json!({"hd": "example.com"}))).1.domains, ["example.com"]);

        let tenant = "11111111-2222-3333-4444-555555555555";
        let entra = provider(json!({"kind": "entra", "tenant": tenant, "client_id": "x"}));
        let said = json!({"oid": "O1", "preferred_username": "ada@corp", "email": "ceo@corp", "email_verified": true});
        let (person, vouched) = entra.of_token(token(said));
        assert_eq!((vouched.ids, vouched.domains), (vec!["S1".to_owned(), "O1".to_owned()], Vec::new()));
        assert_eq!(person.pilot_id, "corp:ada@corp");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_one_provider_keeps_nobody_from_another() {
        let google = || provider(json!({"kind": "google", "client_id": "x"}));
        let (dead, alive) = (Arc::new(google()), google());
        for _ in 0..MOST_CALLS {
            let dead = dead.clone();
            tokio::spawn(async move { dead.ask(std::future::pending::<Result<(), _>>()).await.expect_err("away") });
        }
        tokio::task::yield_now().await;
        assert_eq!(dead.calls.available_permits(), 0);
        let full = dead.ask(async { Ok(()) }).await.expect_err("there is no place");
        assert_eq!(full.error.code(), vx11_contracts::ErrorCode::Overloaded);
        alive.ask(async { Ok(()) }).await.expect("it has places of its own");
    }

    #[test]
    fn what_somebody_is_called_fits_everywhere() {
        let github = provider(json!({"kind": "github", "client_id": "x"}));
        let user =
            |login: &str| User { id: 7, login: login.to_owned(), name: Some("A\u{7}da\n".to_owned()), emails: vec![] };
        let (person, _) = github.of_user(user("octocat"));
        assert_eq!((person.pilot_id.as_str(), person.name.as_str()), ("corp:octocat", "Ada"));
        let (_, vouched) = github.of_user(user("7"));
        assert_eq!((vouched.names, vouched.ids), (vec!["7".to_owned()], Vec::new()), "a list names logins");
        for login in ["", "a b", "a/b", "a\r\nset-cookie: x", "ä", &"a".repeat(200)] {
            assert_eq!(github.of_user(user(login)).0.pilot_id, "corp:7", "{login:?}");
        }
        let oidc = provider(json!({"kind": "oidc", "issuer": "https://i", "client_id": "x"}));
        let (person, _) = oidc.of_token(token(json!({"sub": "a b/c"})));
        assert_eq!(person.pilot_id.len(), "corp:".len() + 64, "{}", person.pilot_id);
    }

    #[test]
    fn a_provider_without_its_secret_does_not_start_and_none_prints_it() {
        let config: ProviderConfig = serde_json::from_value(json!({"kind": "google", "client_id": "x"})).expect("fits");
        let error = Provider::new("corp", &config, &Secrets::default(), &Fetch::default()).expect_err("refused");
        assert!(error.to_string().contains("VX11_LOGIN_CORP_SECRET_FILE"), "{error}");
        assert!(!format!("{:?}", provider(json!({"kind": "google", "client_id": "x"}))).contains("s3cret"));
    }
}
