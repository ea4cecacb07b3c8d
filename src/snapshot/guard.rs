//! Memory maps that outlive what others do to their files.
//!
//! A published file is never changed. If somebody cuts one short all the same, the pages behind its new end are gone, and
//! on Unix whoever reads them is sent SIGBUS, which ends the process. Here a handler of that signal puts pages of zeros in
//! their place and marks the map as lost, so that the reader goes on and [`Mapping::intact`] tells it that what it read
//! is worth nothing. Any other SIGBUS goes the way that it went before. On Windows the system refuses to shorten a file
//! that is mapped.
//!
//! **Invariant:** the handler only loads and stores atomics and makes one system call.

use std::fs::File;
use std::ops::Deref;
use std::time::SystemTime;

#[cfg(unix)]
use memmap2::Advice;
use memmap2::{Mmap, MmapMut};
use rayon::prelude::*;

#[cfg(unix)]
use crate::memory;

/// A whole file, mapped for reading.
///
/// Reading it never ends the process. What was read counts only if [`intact`](Self::intact) says so afterwards.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: Mmap,
    /// Nothing where it is a copy, which nobody else has.
    of: Option<Mapped>,
}

/// The file that is mapped.
#[derive(Debug)]
struct Mapped {
    file: File,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    watched: &'static signal::Watched,
}

impl Mapping {
    /// Maps `file`.
    pub(crate) fn of(file: File) -> std::io::Result<Self> {
        let modified = file.metadata()?.modified().ok();
        // SAFETY: a published file is replaced by rename and removed by unlink, both of which leave the map whole. Where it
        // is cut short or written to all the same, every position and index that comes from it is checked before use, and
        // pages that are gone read as zeros.
        let map = unsafe { Mmap::map(&file) }?;
        // Of a file that does not fit into memory, what is around a place is not needed soon: reading it would only drive out what
        // is. It is an advice: without it all is the same, and slower.
        #[cfg(unix)]
        if memory::allowed().is_some_and(|allowed| map.len() as u64 > allowed / 4 * 3) {
            let _ = map.advise(Advice::Random);
        }
        #[cfg(unix)]
        let watched = signal::watch(map.as_ptr().addr(), map.len())?;
        let of = Mapped {
            file,
            modified,
            #[cfg(unix)]
            watched,
        };
        Ok(Self { map, of: Some(of) })
    }

    #[cfg(all(unix, test))]
    fn watched(&self) -> &'static signal::Watched {
        self.of.as_ref().expect("the tests map files").watched
    }

    /// A copy in memory of its own, in large pages where the system has them.
    pub(crate) fn copy(&self) -> std::io::Result<Self> {
        let mut copy = MmapMut::map_anon(self.map.len())?;
        // Without them it is as good, and slower.
        #[cfg(target_os = "linux")]
        let _ = copy.advise(Advice::HugePage);
        copy.par_chunks_mut(1 << 24).zip(self.map.par_chunks(1 << 24)).for_each(|(to, from)| to.copy_from_slice(from));
        Ok(Self { map: copy.make_read_only()?, of: None })
    }

    /// Whether all that was read of it until now was what the file held when it was mapped; if not, what became of it.
    pub(crate) fn intact(&self) -> Result<(), &'static str> {
        let Some(Mapped { file, modified, .. }) = &self.of else { return Ok(()) };
        #[cfg(unix)]
        if self.of.as_ref().is_some_and(|of| of.watched.is_lost()) {
            return Err("it was cut short, or could not be read, while it was in use");
        }
        // Behind the end, the rest of the last page reads as zeros without a signal.
        let Ok(now) = file.metadata() else { return Err("its file can no longer be looked at") };
        if now.len() != self.map.len() as u64 {
            return Err("it was cut short or lengthened while it was in use");
        }
        if now.modified().ok() != *modified {
            return Err("it was written to while it was in use");
        }
        Ok(())
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

#[cfg(unix)]
impl Drop for Mapping {
    fn drop(&mut self) {
        // Before the map goes: its addresses may soon be another's.
        if let Some(of) = &self.of {
            of.watched.release();
        }
    }
}

#[cfg(unix)]
mod signal {
    use std::io::{Error, Result};
    use std::mem::MaybeUninit;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

    use libc::{SA_ONSTACK, SA_SIGINFO, SIG_DFL, SIG_IGN, SIGBUS, c_int, c_void, siginfo_t};

    /// Maps at once: far more than there are file handles for, usually.
    const MOST: usize = 4096;
    /// `start` of a place that nobody has.
    const FREE: usize = 0;
    /// `start` of a place whose range is being written. No map starts there.
    const CLAIMED: usize = 1;

    static REGISTRY: [Watched; MOST] = [const { Watched::free() }; MOST];
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

    /// The addresses of a map, and whether pages of it are gone.
    #[derive(Debug)]
    pub(super) struct Watched {
        start: AtomicUsize,
        end: AtomicUsize,
        lost: AtomicBool,
    }

    impl Watched {
        const fn free() -> Self {
            Self { start: AtomicUsize::new(FREE), end: AtomicUsize::new(0), lost: AtomicBool::new(false) }
        }

        pub(super) fn is_lost(&self) -> bool {
            // What was read of the map comes before this load.
            fence(Ordering::SeqCst);
            self.lost.load(Ordering::SeqCst)
        }

        pub(super) fn release(&self) {
            self.start.store(FREE, Ordering::SeqCst);
        }

        /// The end of the range, where `address` lies in it.
        fn end_around(&self, address: usize) -> Option<usize> {
            let start = self.start.load(Ordering::SeqCst);
            let end = self.end.load(Ordering::SeqCst);
            // Another thread may have put another range here between the two loads.
            let same = self.start.load(Ordering::SeqCst) == start;
            (same && start > CLAIMED && (start..end).contains(&address)).then_some(end)
        }
    }

    /// From now on, pages that are gone from these addresses read as zeros.
    pub(super) fn watch(start: usize, length: usize) -> Result<&'static Watched> {
        install()?;
        let place =
            REGISTRY.iter().find(|place| place.start.compare_exchange(FREE, CLAIMED, Ordering::SeqCst, Ordering::SeqCst).is_ok());
        let place = place.ok_or_else(|| Error::other(format!("{MOST} files are mapped already; close some")))?;
        place.lost.store(false, Ordering::SeqCst);
        let page = PAGE.load(Ordering::SeqCst);
        place.end.store((start + length.max(1)).next_multiple_of(page), Ordering::SeqCst);
        place.start.store(start, Ordering::SeqCst);
        Ok(place)
    }

    fn install() -> Result<()> {
        static INSTALLED: OnceLock<std::result::Result<(), i32>> = OnceLock::new();
        let outcome = INSTALLED.get_or_init(|| {
            let last = || Error::last_os_error().raw_os_error().unwrap_or_default();
            // SAFETY: sysconf has no preconditions.
            let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            PAGE.store(usize::try_from(page).map_err(|_| last())?, Ordering::SeqCst);
            let mut previous = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: a null action asks only; the answer has room.
            if unsafe { libc::sigaction(SIGBUS, std::ptr::null(), previous.as_mut_ptr()) } != 0 {
                return Err(last());
            }
            // SAFETY: the call succeeded, so that it has written the whole structure.
            let previous = PREVIOUS.get_or_init(|| unsafe { previous.assume_init() });
            let mut action = *previous;
            action.sa_sigaction = on_bus as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
            // On the thread's alternate stack, where it has one: the standard library's own handler needs that.
            action.sa_flags = SA_SIGINFO | SA_ONSTACK;
            // SAFETY: the action is whole, and its handler does only what a handler may.
            if unsafe { libc::sigaction(SIGBUS, &action, std::ptr::null_mut()) } != 0 {
                return Err(last());
            }
            Ok(())
        });
        outcome.map_err(Error::from_raw_os_error)
    }

    extern "C" fn on_bus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the system hands a whole siginfo_t to a handler that is installed with SA_SIGINFO.
        let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
        // Zero and below: another process or thread sent it, and there is no address.
        if code <= 0 || !replace(address) {
            // SAFETY: the arguments are those of this signal.
            unsafe { chain(signal, code, info, context) };
        }
    }

    /// Puts zeros from the page of `address` to the end of the watched map that it lies in, if it lies in one.
    fn replace(address: usize) -> bool {
        let Some((watched, end)) = REGISTRY.iter().find_map(|place| Some((place, place.end_around(address)?))) else {
            return false;
        };
        // First of all, so that nobody reads zeros and finds the flag unset.
        watched.lost.store(true, Ordering::SeqCst);
        let page = address & !(PAGE.load(Ordering::SeqCst) - 1);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: the range is within a map of ours that only reads, and that is being read: it is not unmapped meanwhile.
        let placed = unsafe { libc::mmap(page as *mut c_void, end - page, libc::PROT_READ, flags, -1, 0) };
        placed != libc::MAP_FAILED
    }

    /// What would have become of the signal without us.
    ///
    /// # Safety
    /// The arguments are those that the system gave to the handler.
    unsafe fn chain(signal: c_int, code: c_int, info: *mut siginfo_t, context: *mut c_void) {
        let previous = PREVIOUS.get().filter(|previous| previous.sa_sigaction != SIG_DFL);
        match previous {
            Some(previous) if previous.sa_sigaction == SIG_IGN && code <= 0 => {}
            Some(previous) if previous.sa_sigaction != SIG_IGN => {
                if previous.sa_flags & SA_SIGINFO != 0 {
                    // SAFETY: SA_SIGINFO says that it is such a function.
                    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                        unsafe { std::mem::transmute(previous.sa_sigaction) };
                    handler(signal, info, context);
                } else {
                    // SAFETY: without SA_SIGINFO it is such a function.
                    let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(previous.sa_sigaction) };
                    handler(signal);
                }
            }
            // The default, or a fault that nobody can ignore: the process ends once this handler returns.
            // SAFETY: both calls are async-signal-safe.
            _ => unsafe {
                libc::signal(signal, SIG_DFL);
                libc::raise(signal);
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: usize = 64;

    fn mapped(folder: &std::path::Path) -> (std::path::PathBuf, Mapping) {
        let path = folder.join("mapped");
        std::fs::write(&path, vec![7; PAGES * 4096 + 100]).unwrap();
        let mapping = Mapping::of(File::open(&path).unwrap()).unwrap();
        (path, mapping)
    }

    fn cut(path: &std::path::Path, length: u64) {
        File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn what_is_cut_off_reads_as_zeros_and_is_said_to_be_lost() {
        let folder = tempfile::tempdir().unwrap();
        for (length, kept) in [(0, 0), (10 * 4096, 10 * 4096), (10 * 4096 + 5, 10 * 4096 + 5)] {
            let (path, mapping) = mapped(folder.path());
            mapping.intact().unwrap();
            cut(&path, length);
            assert_eq!(mapping.iter().filter(|&&byte| byte == 7).count(), kept, "cut at {length}");
            assert_eq!(mapping.iter().filter(|&&byte| byte == 0).count(), mapping.len() - kept, "cut at {length}");
            assert!(mapping.watched().is_lost());
            assert!(mapping.intact().unwrap_err().contains("cut short"));
            // Whole again, the file is; what was read was not.
            std::fs::write(&path, vec![7; mapping.len()]).unwrap();
            assert!(mapping.intact().unwrap_err().contains("cut short"));
        }
    }

    #[test]
    fn a_cut_within_the_last_page_is_found_without_a_signal() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mapping) = mapped(folder.path());
        cut(&path, (mapping.len() - 50) as u64);
        assert_eq!(mapping[mapping.len() - 1], 0);
        assert!(mapping.intact().unwrap_err().contains("cut short"));
    }

    #[test]
    fn a_change_in_place_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mapping) = mapped(folder.path());
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
        assert!(mapping.intact().unwrap_err().contains("written to"));
    }

    #[test]
    fn removal_and_replacement_leave_a_map_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mapping) = mapped(folder.path());
        std::fs::write(folder.path().join("other"), b"shorter").unwrap();
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(mapping.iter().all(|&byte| byte == 7));
        mapping.intact().unwrap();
    }

    /// Many maps, each read by a thread while it is cut: each learns of its own loss only.
    #[cfg(unix)]
    #[test]
    fn each_map_has_its_own_flag() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let folder = folder.path().join(number.to_string());
                scope.spawn(move || {
                    std::fs::create_dir(&folder).unwrap();
                    for round in 0..50 {
                        let (path, mapping) = mapped(&folder);
                        let is_cut = (round + number) % 2 == 0;
                        if is_cut {
                            cut(&path, 4096);
                        }
                        let kept = mapping.iter().filter(|&&byte| byte == 7).count();
                        assert_eq!(kept, if is_cut { 4096 } else { mapping.len() });
                        assert_eq!(mapping.intact().is_err(), is_cut);
                    }
                });
            }
        });
    }

    #[cfg(unix)]
    const CHILD: &str = "RELATA_GUARD_CHILD";

    /// Runs [`fault_elsewhere`] in a process of its own, and says by which signal it ended.
    #[cfg(unix)]
    fn child(how: &str) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "snapshot::guard::tests::fault_elsewhere", "--ignored", "--test-threads=1"];
        let output = std::process::Command::new(program).args(arguments).env(CHILD, how).output().unwrap();
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        output.status.signal()
    }

    #[cfg(unix)]
    #[test]
    fn a_bus_error_elsewhere_still_ends_the_process() {
        for how in ["unwatched", "released", "sent twice"] {
            assert_eq!(child(how), Some(libc::SIGBUS), "{how}");
        }
    }

    #[cfg(unix)]
    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn fault_elsewhere() {
        let how = std::env::var(CHILD).unwrap_or_default();
        let folder = tempfile::tempdir().unwrap();
        let (path, mapping) = mapped(folder.path());
        match how.as_str() {
            // While one map is watched, another that is not faults.
            "unwatched" => {
                let file = File::open(&path).unwrap();
                // SAFETY: it is not; that is what is tested.
                let bare = unsafe { Mmap::map(&file) }.unwrap();
                cut(&path, 0);
                std::hint::black_box(bare[5000]);
                drop(mapping);
            }
            "released" => {
                mapping.watched().release();
                cut(&path, 0);
                std::hint::black_box(mapping[5000]);
            }
            // The standard library's handler, which comes after ours, takes the first as a stray.
            "sent twice" => {
                for _ in 0..2 {
                    // SAFETY: raise has no preconditions.
                    unsafe { libc::raise(libc::SIGBUS) };
                }
            }
            _ => panic!("not run by the test that it belongs to"),
        }
    }
}
