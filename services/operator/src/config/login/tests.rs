//! What a configuration of logins may say.

use serde_json::{Value, json};

use super::*;

fn login(change: Value) -> Result<(), String> {
    let mut provider = json!({"kind": "github", "client_id": "x", "allowed_logins": ["ada"]});
    provider.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
    provider.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    let config = json!({"public_url": "https://vx11.example", "providers": {"p": provider}});
    let config: LoginConfig = serde_json::from_value(config).expect("its shape fits");
    config.check().map_err(|error| error.to_string())
}

#[test]
fn nobody_opens_the_door_to_the_world_by_leaving_something_out() {
    let refused = |change: Value, word: &str| {
        let error = login(change.clone()).expect_err("refused");
        assert!(error.contains(word), "{change}: {error}");
    };
    assert_eq!(login(json!({})), Ok(()));
    refused(json!({"allowed_logins": []}), "say who may come");
    refused(json!({"allow_everybody": true}), "anybody in the world");
    refused(json!({"allow_everybody": true, "url": "https://github.com/"}), "anybody in the world");
    refused(json!({"kind": "google", "allow_everybody": true}), "anybody in the world");
    refused(json!({"kind": "oidc", "issuer": "https://accounts.google.com", "allow_everybody": true}), "anybody");
    assert_eq!(login(json!({"allow_everybody": true, "url": "https://git.corp.example"})), Ok(()));
    assert_eq!(login(json!({"kind": "oidc", "issuer": "https://id.example/a", "allow_everybody": true})), Ok(()));
    refused(json!({"role": "ADMIN"}), "nobody is an ADMIN by coming");
}

#[test]
fn nobody_is_taken_for_somebody_else() {
    for name in ["local", "key", "system", "service", "", "Git Hub", "a:b", "a/b"] {
        let provider = json!({"kind": "github", "client_id": "x", "allowed_logins": ["ada"]});
        let config = json!({"public_url": "https://vx11.example", "providers": {name: provider}});
        let config: LoginConfig = serde_json::from_value(config).expect("its shape fits");
        assert!(config.check().is_err(), "{name}");
    }
}

#[test]
fn an_entra_provider_is_one_tenant() {
    let tenant = "11111111-2222-3333-4444-555555555555";
    let entra = |change: Value| {
        let mut entra = json!({"kind": "entra", "tenant": tenant});
        entra.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        login(entra)
    };
    assert_eq!(entra(json!({})), Ok(()));
    for other in ["common", "organizations", "consumers", "corp.example", "../x"] {
        assert!(entra(json!({"tenant": other})).is_err(), "{other}");
    }
    assert!(entra(json!({"tenant": null})).is_err());
    assert!(entra(json!({"allowed_domains": ["corp.example"]})).expect_err("refused").contains("no address"));
}

#[test]
fn addresses_cannot_be_read_on_the_way() {
    assert!(login(json!({"kind": "oidc", "issuer": "http://id.example"})).is_err());
    assert!(login(json!({"kind": "oidc", "issuer": "id.example"})).is_err());
    assert!(login(json!({"kind": "oidc", "issuer": null})).is_err());
    assert!(login(json!({"kind": "google", "issuer": "https://id.example"})).expect_err("refused").contains("issuer"));
    assert_eq!(login(json!({"kind": "oidc", "issuer": "http://127.0.0.1:9000"})), Ok(()));
    let public = |url: &str| {
        let config = json!({"public_url": url, "passwords": true});
        let config: LoginConfig = serde_json::from_value(config).expect("its shape fits");
        config.check().is_ok()
    };
    assert!(public("https://vx11.example:8443") && public("http://localhost:8000") && public("http://[::1]:8000"));
    assert!(!public("http://vx11.example") && !public("https://vx11.example/sub") && !public("ftp://localhost"));
    let nowhere: LoginConfig = serde_json::from_value(json!({"passwords": true})).expect("its shape fits");
    assert!(nowhere.check().is_err());
}
