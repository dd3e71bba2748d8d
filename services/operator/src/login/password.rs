//! Logins with a name and a password.

use std::time::Instant;

use jiff::Timestamp;
use secrecy::SecretString;
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;
use vx11_contracts::identity::{OrgId, PasswordLogin};

use super::{Denied, Login, PASSWORD, too_many, turn};
use crate::control::{Entry, Session, local_id};
use crate::domain::audit::Origin;

/// Longest name.
const MAX_LOGIN: usize = 64;

impl Login {
    /// A login with a name and a password.
    ///
    /// # Errors
    /// When they don't fit, whichever of them it is; or when it was tried too often.
    pub(crate) async fn with_password(
        &self,
        asked: PasswordLogin,
        address: &str,
        origin: Origin,
    ) -> Result<Session, Denied> {
        self.public_url()?;
        if !self.0.with_passwords {
            return Err(ApiError::new(ErrorCode::NotFound, "nobody logs in with a password here").into());
        }
        let opened = self.open_by_password(asked, address, origin).await;
        self.0.metrics.count(PASSWORD, opened.as_ref().err().map(|denied| &denied.error));
        opened
    }

    async fn open_by_password(&self, asked: PasswordLogin, address: &str, origin: Origin) -> Result<Session, Denied> {
        let PasswordLogin { org, login, password } = asked;
        let (org, password) = (org.unwrap_or_else(OrgId::platform), SecretString::from(password));
        if !is_login(&login) {
            return Err(ApiError::invalid_field("login", LOGIN_RULE).into());
        }
        let account = format!("{org} {login}");
        self.0.throttle.check(&account, address, Instant::now()).map_err(|wait| too_many(&wait))?;
        let pilots = self.0.control.pilots(&org);
        let stored = pilots.password(&login).await.map_err(Denied::store)?;
        let is_known = stored.is_some();
        let is_right = self.is_right(password, stored.clone()).await?;
        // Whoever does not exist, is shut out, or is of a closed organisation gets the same answer.
        let wrong = |reason| {
            let detail = "the name or the password is wrong";
            let denied = Denied::refused(reason, detail.to_owned());
            if is_known { denied.by(&org, &local_id(&login)) } else { denied }
        };
        let Some(verified) = stored.filter(|_| is_right) else { return Err(wrong("wrong_password")) };
        match pilots.open(&login, verified, origin, Timestamp::now()).await.map_err(Denied::store)? {
            Entry::In(session) => Ok(*session),
            Entry::OtherPassword => Err(wrong("wrong_password")),
            Entry::Disabled => Err(wrong("disabled")),
            Entry::NameTaken | Entry::NoOrg | Entry::Unknown => Err(wrong("no_organisation")),
        }
    }

    /// Whether a password is the one that `stored` was made of.
    async fn is_right(&self, password: SecretString, stored: Option<String>) -> Result<bool, ApiError> {
        let (turn, passwords) = (turn(&self.0.hashes).await?, self.0.passwords.clone());
        let verify = move || {
            // Kept until it is done, be the caller gone meanwhile: or callers who hang up would hash without a bound.
            let _turn = turn;
            passwords.verify(&password, stored.as_deref())
        };
        tokio::task::spawn_blocking(verify).await.map_err(ApiError::internal)
    }
}

/// What the name of somebody with a password must be.
pub(crate) const LOGIN_RULE: &str = "must have 1 to 64 letters, digits and `-`, `_`, `.`";

/// Whether `login` can be the name of somebody with a password.
pub(crate) fn is_login(login: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_LOGIN).contains(&login.len()) && login.bytes().all(fits)
}
