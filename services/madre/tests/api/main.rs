//! madre over real sockets, with a real store and a driver that only remembers what it was told.

mod approval;
mod chat;
mod desk;
mod fixture;
mod maintenance;
mod orgs;
mod outage;
mod plans;
mod power;
mod replicas;
