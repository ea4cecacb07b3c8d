//! How the C library's allocator treats memory that is given back.

/// Has it keep what is given back for what is taken next: fresh pages cost more than what is put there, most of all on a
/// virtual machine. For programs that take much memory for a short time; to be called before they begin threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_memory() {
    // What a thread gave back to an arena of its own others would seldom find; of many threads, some would wait for one arena.
    let arenas = std::thread::available_parallelism().map_or(1, |threads| (threads.get() / 8).max(1));
    let settings = [
        (libc::M_ARENA_MAX, arenas as libc::c_int),
        (libc::M_TRIM_THRESHOLD, libc::c_int::MAX),
        (libc::M_MMAP_THRESHOLD, 32 << 20),
    ];
    for (parameter, value) in settings {
        // SAFETY: it has no preconditions. Where it refuses, the program is slower and nothing else.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Elsewhere allocators keep memory, or have no such settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_memory() {}

/// Has mimalloc, where a program uses it, keep all memory while one of these is there: training takes the same again at every
/// step, and pages that were given back to the system in between would have to be cleared anew.
#[cfg(feature = "train")]
#[derive(Debug)]
pub struct Keeping(());

#[cfg(feature = "train")]
mod keeping {
    use std::sync::{Mutex, PoisonError};

    use super::Keeping;

    /// `mi_option_purge_delay`, which the bindings do not name: milliseconds after which memory is given back, -1 for never.
    pub(super) const PURGE_DELAY: libc::c_int = 15;

    /// How many there are, and what the option was before the first.
    static KEEPING: Mutex<(usize, libc::c_long)> = Mutex::new((0, 0));

    impl Keeping {
        /// From now on.
        pub fn new() -> Self {
            let mut keeping = KEEPING.lock().unwrap_or_else(PoisonError::into_inner);
            if keeping.0 == 0 {
                // SAFETY: it reads one of the options that there are.
                keeping.1 = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
                // SAFETY: it writes one number; who reads it meanwhile finds the old or the new.
                unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
            }
            keeping.0 += 1;
            Self(())
        }
    }

    impl Default for Keeping {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Drop for Keeping {
        fn drop(&mut self) {
            let mut keeping = KEEPING.lock().unwrap_or_else(PoisonError::into_inner);
            keeping.0 -= 1;
            if keeping.0 == 0 {
                // SAFETY: as above.
                unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, keeping.1) };
            }
        }
    }
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: it reads options that there are.
        let found = || [-1, 0, 1].map(|by| unsafe { libmimalloc_sys::mi_option_get(keeping::PURGE_DELAY + by) });
        // Milliseconds, 10 to 1,000 by version, or -1 while another test trains; the options before and after it are switches
        // and counts.
        let [before, delay, after] = found();
        assert!((10..=1000).contains(&delay) || delay == -1, "{delay}");
        assert!((0..10).contains(&before) && (0..10).contains(&after), "{before}, {after}");
        let one = Keeping::new();
        drop(Keeping::new());
        assert_eq!(found(), [before, -1, after]);
        drop(one);
    }
}
