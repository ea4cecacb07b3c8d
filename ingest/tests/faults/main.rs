//! What a store makes of kills, power cuts, failing calls, damage, other writers and other versions.
//!
//! A shared object (`shim/`) is preloaded into the programs under test; it counts, fails, records or stops what they do to
//! files. Each test tries a small part of all cases by default, always the same, and prints how to repeat what fails. Longer:
//!
//! ```text
//! RELATA_FAULT_SEED=7 RELATA_KILLS=3000 RELATA_CUTS=6000 RELATA_FAILURES=100 RELATA_FLIPS=10000 \
//!     cargo test -p relata-ingest --test faults -- --nocapture
//! RELATA_HISTORY_SECONDS=3600 cargo test -p relata-ingest --test faults histories::histories -- --nocapture
//! RELATA_CUTS=400 RELATA_STEPS=200 cargo test -p relata-ingest --test faults a_power_cut_at_any_call -- --nocapture
//! ```
//!
//! (`RELATA_FAILURES` is a share of all failing calls, in percent.) Loads, edits, removals and publishings are each a
//! [`Step`](series::Step): it says how a program does it, how this process does it, and what it does to the plain model. Repairs
//! are a phase of their own ([`repairs`]). [`histories`] are of eight threads that do all of it at once.

#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod child;
mod content;
mod damage;
mod data;
mod disk;
mod failures;
mod histories;
mod kills;
mod model;
mod phases;
mod power;
mod program;
mod random;
mod refusals;
mod repairs;
mod series;
mod verify;
