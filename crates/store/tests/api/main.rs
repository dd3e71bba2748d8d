//! The store as services use it, on real SQLite files.

mod database;
mod db;
mod fixture;
mod lost_answer;
mod outage;
mod retention;
mod transfer;
mod upkeep;
mod writer;
