//! Annals over HTTP, and the program `annals`.

pub mod audit;
pub mod cli;
pub mod config;
pub mod console;
pub mod engagement;
pub mod forgotten;
pub mod health;
pub mod history;
pub mod http;
pub mod identity;
pub mod live;
pub mod mcp;
pub mod node;
pub mod openapi;
pub mod operations;
pub mod postgres;
pub mod postiz;
pub mod publishing;
pub mod read_models;
pub mod rights;
pub mod schemas;
pub mod secrets;
pub mod server;
pub mod state;
pub mod telemetry;
pub mod tiers;
