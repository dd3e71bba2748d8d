//! `vx11 org`, `vx11 key`, `vx11 pilot`, `vx11 admin`, `vx11 signing-key`: who may call, kept on the database itself,
//! also while services run.
//!
//! What a script wants stands on stdout alone: a key that was made, a list. What people want to know beside it stands
//! on stderr.

mod limits;

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use vx11_chassis::config::Settings;
use vx11_contracts::identity::{ApiKey, KeyLimits, NewKey, OrgId, Pilot, PilotChange, Role, Scope};
use vx11_operator::{Admin, AdminError};

use limits::LimitArguments;

#[derive(Subcommand)]
pub(crate) enum OrgCommand {
    /// Make an organisation.
    Create {
        /// Its id: lower-case letters, digits and single hyphens.
        id: OrgId,
        /// Its name, for people; the id where absent.
        #[arg(long)]
        name: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, this once.
    Create(NewKeyArguments),
    /// Change the limits of a key, of which `none` lifts one; in force within five seconds. What it has spent stays spent.
    Set {
        /// Its id, as in the list and in the key itself.
        id: String,
        #[command(flatten)]
        limits: LimitArguments,
    },
    /// List keys without their secrets: id, organisation, role, scopes, state, last use, name, limits; tabs between.
    List {
        /// Of this organisation only.
        #[arg(long)]
        org: Option<OrgId>,
    },
    /// End a key; running services refuse it within five seconds.
    Revoke {
        /// Its id, as in the list and in the key itself.
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum AdminCommand {
    /// Make a key that may everything within an organisation, and print it, this once.
    Create {
        /// Whose; `default` keeps the installation.
        #[arg(long, default_value = OrgId::PLATFORM)]
        org: OrgId,
        /// For people.
        #[arg(long, default_value = "admin")]
        name: String,
        /// Until when it is good, such as 2027-01-01T00:00:00Z; without it, until it is revoked.
        #[arg(long)]
        expires: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum PilotCommand {
    /// Let somebody log in with a password, or give it another one, which is read from standard input; with
    /// `operator.login.passwords = true` it is good for something.
    SetPassword {
        /// Its name: letters, digits and `-`, `_`, `.`.
        login: String,
        /// ADMIN, OPERATOR or VIEWER.
        #[arg(long)]
        role: Role,
        /// Whose pilot.
        #[arg(long, default_value = OrgId::PLATFORM)]
        org: OrgId,
        /// Read the password from this file.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// List pilots: id, organisation, role, state, last login, address for mail, name; tabs between.
    List {
        /// Of this organisation only.
        #[arg(long)]
        org: Option<OrgId>,
    },
    /// Change a pilot; running services know within five seconds.
    Set {
        /// Its id, as in the list.
        id: String,
        /// Whose pilot.
        #[arg(long, default_value = OrgId::PLATFORM)]
        org: OrgId,
        /// ADMIN, OPERATOR or VIEWER.
        #[arg(long)]
        role: Option<Role>,
        /// Shut it out, and end its sessions.
        #[arg(long)]
        disable: bool,
        /// Let it in again.
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum SigningKeyCommand {
    /// Make the key that signs access tokens from five minutes on, and print its id.
    Rotate,
}

#[derive(Args)]
pub(crate) struct NewKeyArguments {
    /// Whose.
    #[arg(long, default_value = OrgId::PLATFORM)]
    org: OrgId,
    /// ADMIN, OPERATOR or VIEWER.
    #[arg(long)]
    role: Role,
    /// What it is for, with commas between: gateway, chat, read, agent, pilot, admin.
    #[arg(long, visible_alias = "scope", value_delimiter = ',', required = true, value_parser = scope)]
    scopes: Vec<Scope>,
    /// For people.
    #[arg(long, default_value = "made by vx11")]
    name: String,
    /// Until when it is good, such as 2027-01-01T00:00:00Z; without it, until it is revoked.
    #[arg(long)]
    expires: Option<String>,
    #[command(flatten)]
    limits: LimitArguments,
}

fn scope(name: &str) -> Result<Scope, String> {
    Scope::from_name(name).ok_or_else(|| {
        let known = Scope::ALL.map(Scope::as_str);
        format!("the scopes are {}", known.join(", "))
    })
}

pub(crate) fn org(command: OrgCommand) -> anyhow::Result<()> {
    let OrgCommand::Create { id, name } = command;
    let made = done(async |admin| admin.create_org(&id, name.as_deref()).await)?;
    Ok(writeln!(std::io::stdout(), "{}", made.id)?)
}

pub(crate) fn key(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create(NewKeyArguments { org, role, scopes, name, expires, limits }) => {
            let limits = KeyLimits::default().changed(limits.change()).some();
            create(&NewKey { name, role, scopes, expires_at: expires, org: Some(org), limits })
        }
        KeyCommand::Set { id, limits } => {
            let change = limits.change();
            let changed = done(async |admin| admin.limit_key(&id, change.clone()).await)?;
            Ok(writeln!(std::io::stdout(), "{}", line(&changed))?)
        }
        KeyCommand::List { org } => {
            let keys = done(async |admin| admin.list_keys(org).await)?;
            let mut out = std::io::stdout().lock();
            keys.iter().try_for_each(|key| writeln!(out, "{}", line(key)))?;
            Ok(out.flush()?)
        }
        KeyCommand::Revoke { id } => {
            let revoked = done(async |admin| admin.revoke_key(&id).await)?;
            Ok(writeln!(std::io::stdout(), "{}", line(&revoked))?)
        }
    }
}

pub(crate) fn admin(command: AdminCommand) -> anyhow::Result<()> {
    let AdminCommand::Create { org, name, expires } = command;
    let scopes = Scope::ALL.to_vec();
    create(&NewKey { name, role: Role::Admin, scopes, expires_at: expires, org: Some(org), limits: None })
}

pub(crate) fn pilot(command: PilotCommand) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match command {
        PilotCommand::SetPassword { login, role, org, password_file } => {
            let password = password(password_file)?;
            let set = done(async |admin| admin.set_password(&org, &login, role, password.clone()).await)?;
            Ok(writeln!(out, "{}", pilot_line(&set))?)
        }
        PilotCommand::List { org } => {
            let pilots = done(async |admin| admin.list_pilots(org).await)?;
            pilots.iter().try_for_each(|pilot| writeln!(out, "{}", pilot_line(pilot)))?;
            Ok(out.flush()?)
        }
        PilotCommand::Set { id, org, role, disable, enable } => {
            let change = PilotChange { role, disabled: (disable || enable).then_some(disable) };
            let changed = done(async |admin| admin.change_pilot(&org, &id, change).await)?;
            Ok(writeln!(out, "{}", pilot_line(&changed))?)
        }
    }
}

pub(crate) fn signing_key(command: SigningKeyCommand) -> anyhow::Result<()> {
    let SigningKeyCommand::Rotate = command;
    let id = done(async |admin| admin.rotate_signing_key().await)?;
    Ok(writeln!(std::io::stdout(), "{id}")?)
}

/// A password, of which the last line's end is none. Never an argument: those are in histories and process lists.
fn password(file: Option<PathBuf>) -> anyhow::Result<SecretString> {
    /// More than any password has.
    const MOST: u64 = 64 * 1024;
    let mut text = String::new();
    match file {
        Some(file) => {
            let open = std::fs::File::open(&file).with_context(|| format!("cannot read {}", file.display()))?;
            open.take(MOST).read_to_string(&mut text)?
        }
        None => std::io::stdin().take(MOST).read_to_string(&mut text)?,
    };
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}

fn create(asked: &NewKey) -> anyhow::Result<()> {
    let (key, plain): (ApiKey, SecretString) = done(async |admin| admin.create_key(asked).await)?;
    writeln!(std::io::stderr(), "{}\nThe key is shown this once:", line(&key))?;
    Ok(writeln!(std::io::stdout(), "{}", plain.expose_secret())?)
}

/// Opens the database of the configuration, and does `work` on it.
pub(crate) fn done<T>(work: impl AsyncFnOnce(&Admin) -> Result<T, AdminError>) -> anyhow::Result<T> {
    let common = Settings::from_process()?.common()?;
    let folder = &common.data_dir.0;
    if common.database_url.is_none() && !folder.exists() {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        writeln!(std::io::stderr(), "note: there was no {}; a new database is made in it", folder.display())?;
    }
    let admin = Admin::open(&common)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work(&admin))?)
}

fn line(key: &ApiKey) -> String {
    let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let state = match (&key.revoked_at, &key.expires_at) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "good".to_owned(),
    };
    let used = key.last_used_at.as_ref().map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
    let (scopes, limits) = (scopes.join(","), limits::shown(key.limits.as_ref()));
    [key.id.as_str(), key.org.as_str(), key.role.as_str(), &scopes, &state, &used, &key.name, &limits].join("\t")
}

fn pilot_line(pilot: &Pilot) -> String {
    let state = pilot.disabled_at.as_ref().map_or_else(|| "good".to_owned(), |at| format!("shut out {at}"));
    let last = pilot.last_login.as_ref().map_or_else(|| "never logged in".to_owned(), |at| format!("logged in {at}"));
    let email = pilot.email.as_deref().unwrap_or("-");
    [&pilot.pilot_id, pilot.org.as_str(), pilot.role.as_str(), &state, &last, email, &pilot.name].join("\t")
}
