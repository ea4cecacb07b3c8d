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
