//! What a store makes of kills, power cuts, failing calls, damage, other writers and other versions.
//!
//! A shared object (`shim/`) is preloaded into the programs under test; it counts, fails, records or stops what they do to
//! files. By default a small part of all cases is tried, always the same. The long run:
//!
//! ```text
//! RELATA_FAULT_SEED=7 RELATA_KILLS=3000 RELATA_CUTS=all RELATA_FAILURES=all RELATA_FLIPS=10000 \
//!     cargo test -p relata-ingest --test faults -- --nocapture
//! ```

#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod child;
mod content;
mod damage;
mod disk;
mod failures;
mod kills;
mod power;
mod program;
mod random;
mod refusals;
mod series;
mod verify;
