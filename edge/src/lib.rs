#![forbid(unsafe_code)]
//! The records: one institution's record service, which knows the chain only as a JSON-RPC address.
//!
//! A record's path, in reading order: [`ingest`] reads what an institution has, [`standardize`] makes FHIR R4 of it with
//! the help of [`terminology`], [`extract`] finds its keywords; [`intake`] joins these and hands the result to the
//! [`vault`], which seals it over [`stores`], to the [`index`], which makes it findable, and to [`anchor`], which proves it.
//! Others reach it through [`api`] and [`peer`]; [`access`] alone says yes, [`audit`] writes it down first, [`delivery`]
//! carries it out, [`verify`] checks what came, [`supervision`] complains. [`onchain`] is the chain as this room sees it;
//! [`service`] starts and stops it all, [`findings`] shows what would be found in a file without any of it, [`args`] and [`config`] say with what, [`desk`] is what an
//! operator does with a stopped edge's folder, [`keys`] holds what signs and seals.
pub mod access;
pub mod anchor;
pub mod api;
pub mod args;
pub mod audit;
pub mod config;
pub mod delivery;
pub mod desk;
pub mod error;
pub mod extract;
pub mod findings;
pub mod index;
pub mod ingest;
pub mod intake;
pub mod keys;
pub mod model;
pub mod onchain;
pub mod peer;
pub mod quarantine;
pub mod service;
pub mod standardize;
pub mod stores;
pub mod supervision;
pub mod terminology;
pub mod vault;
pub mod verify;
