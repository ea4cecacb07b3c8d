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

/// Has mimalloc, where a program uses it, keep all memory while this is there: training takes the same again at every step, and
/// pages that were given back to the system in between would have to be cleared anew.
#[cfg(feature = "train")]
#[derive(Debug)]
pub struct Keeping {
    before: libc::c_long,
}

/// `mi_option_purge_delay`, which the bindings do not name: milliseconds after which memory is given back, -1 for never.
#[cfg(feature = "train")]
const PURGE_DELAY: libc::c_int = 15;

#[cfg(feature = "train")]
impl Keeping {
    /// From now on.
    pub fn new() -> Self {
        // SAFETY: it reads one of the options that there are.
        let before = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        // SAFETY: it writes one number; who reads it meanwhile finds the old or the new.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
        Self { before }
    }
}

#[cfg(feature = "train")]
impl Default for Keeping {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "train")]
impl Drop for Keeping {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, self.before) };
    }
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // The delay is 10 ms where nobody says otherwise, and no option before or after it is.
        // SAFETY: it reads options that there are.
        let [before, delay, after] = [14, 15, 16].map(|option| unsafe { libmimalloc_sys::mi_option_get(option) });
        assert!(delay == 10 && before != 10 && after != 10, "{before}, {delay}, {after}");
        drop(Keeping::new());
        // SAFETY: as above.
        assert_eq!(unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }, 10);
    }
}
