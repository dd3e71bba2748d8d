//! The operator over real sockets, with a real store, and a switch and a madre that do what a test says.

mod access;
mod app;
mod audit_log;
mod chat;
mod control;
mod email;
mod event_stream;
mod events;
mod failures;
mod fake;
mod holds;
mod hurry;
mod identity;
mod interventions;
mod issuer;
mod login;
mod metrics;
mod passwords;
mod replay;
mod requests;
mod sockets;
mod stream;
mod tenants;
mod trail;
mod units;
mod webhooks;
