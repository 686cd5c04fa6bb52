//! The client against a scripted server: what goes over the wire, what comes of it.

mod assembling;
mod connecting;
mod errors;
mod images;
mod log;
mod readme;
mod requests;
mod resuming;
mod retries;
mod server;
mod stopping;
mod streams;
mod transfers;
