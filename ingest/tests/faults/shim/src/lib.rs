//! Stands between a program and the C library's calls that change files (`LD_PRELOAD`, Linux), acts on paths under
//! `RELATA_FAULT_ROOT` only, and numbers these calls from 1.
//!
//! | variable | what |
//! |---|---|
//! | `RELATA_FAULT_ROOT` | the folder, absolute and without links in it; nothing is done without it |
//! | `RELATA_FAULT_REPORT` | a file that holds the number of calls (u64); from byte 8, a line about the call that was acted on; from byte 2048, one about the last call |
//! | `RELATA_FAULT_TRACE` | a file to which a line about each call is appended |
//! | `RELATA_FAULT_AT` | the number of the call to act on |
//! | `RELATA_FAULT_WITHIN` | texts with bars between them; then only calls whose path has one of them are numbered for `RELATA_FAULT_AT` |
//! | `RELATA_FAULT_ACTION` | `fail` (that call), `fail-on` (it and all after it), `kill-before`, `kill-after`, `kill-torn` |
//! | `RELATA_FAULT_ERRNO` | for the failing ones |
//! | `RELATA_FAULT_JOURNAL` | a file to which each call that succeeded is appended, with its data: see `record.rs` |
//! | `RELATA_FAULT_NO_SYNC` | syncs return 0, and nothing is synced or recorded |
//!
//! One call at a time is let through, so that the journal has the order of the effects. Calls whose data cannot be seen
//! (`copy_file_range`, `sendfile`, `splice`, writable shared mappings) are refused, so that the program takes another way
//! or fails. Calls reach the kernel directly, so nothing here allocates or looks symbols up.

/// A call of the kernel, each argument as wide as a register: the upper halves of narrower ones would be left undefined.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
macro_rules! kernel {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        libc::syscall($number $(, $argument as usize)*) as isize
    };
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod calls;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod paths;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod record;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod state;
