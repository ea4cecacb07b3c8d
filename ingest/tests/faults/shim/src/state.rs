//! The settings, the count, and the one place where a call is let through.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::record::{Record, write_all};

/// Bytes of the report: the count, and the lines about the call that was acted on and the last one.
const REPORT_BYTES: usize = 4096;
/// Where the line about the call that was acted on begins.
const ACTED_ON: usize = 8;
/// Where the line about the last call begins.
const LAST: usize = 2048;

#[derive(Clone, Copy, PartialEq)]
enum Action {
    Fail,
    FailOn,
    KillBefore,
    KillAfter,
    KillTorn,
}

struct Settings {
    root: &'static [u8],
    report: *mut u8,
    journal: c_int,
    trace: c_int,
    at: u64,
    within: &'static [u8],
    action: Action,
    errno: c_int,
    no_sync: bool,
}

struct Cell(UnsafeCell<Option<Settings>>);

// SAFETY: written once, by `start`, before `ACTIVE` is set; read only after it.
unsafe impl Sync for Cell {}

static SETTINGS: Cell = Cell(UnsafeCell::new(None));
static ACTIVE: AtomicBool = AtomicBool::new(false);
static BUSY: AtomicBool = AtomicBool::new(false);

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    let Some(root) = variable(c"RELATA_FAULT_ROOT") else { return };
    let text = |name| variable(name).unwrap_or_default();
    let number = |name| text(name).iter().fold(0_u64, |all, digit| all * 10 + u64::from(digit.wrapping_sub(b'0')));
    let action = match text(c"RELATA_FAULT_ACTION") {
        b"fail-on" => Action::FailOn,
        b"kill-before" => Action::KillBefore,
        b"kill-after" => Action::KillAfter,
        b"kill-torn" => Action::KillTorn,
        _ => Action::Fail,
    };
    let settings = Settings {
        root,
        report: report(),
        journal: open_variable(c"RELATA_FAULT_JOURNAL", libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND),
        trace: open_variable(c"RELATA_FAULT_TRACE", libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND),
        at: number(c"RELATA_FAULT_AT"),
        within: text(c"RELATA_FAULT_WITHIN"),
        action,
        errno: number(c"RELATA_FAULT_ERRNO") as c_int,
        no_sync: variable(c"RELATA_FAULT_NO_SYNC").is_some(),
    };
    // SAFETY: nothing reads it before `ACTIVE` is set, and the loader runs this once.
    unsafe { *SETTINGS.0.get() = Some(settings) };
    ACTIVE.store(true, Ordering::Release);
}

fn settings() -> Option<&'static Settings> {
    if !ACTIVE.load(Ordering::Acquire) {
        return None;
    }
    // SAFETY: it is not written after `ACTIVE` is set.
    unsafe { (*SETTINGS.0.get()).as_ref() }
}

/// An environment variable, if it is set and not empty. The environment is not changed by the programs under test.
fn variable(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: the name is a C string, and so is what `getenv` gives.
    let value = unsafe {
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value).to_bytes())
    };
    value.filter(|value| !value.is_empty())
}

/// −1 where the variable is not set.
fn open_variable(name: &CStr, flags: c_int) -> c_int {
    let Some(path) = variable(name) else { return -1 };
    let path: *const c_char = path.as_ptr().cast();
    // SAFETY: the environment's texts end in a zero.
    let opened = unsafe { kernel!(libc::SYS_openat, libc::AT_FDCWD, path, flags | libc::O_CLOEXEC, 0o644) } as c_int;
    if opened < 0 {
        die();
    }
    opened
}

/// Memory that outlives the process: a file that is mapped.
fn report() -> *mut u8 {
    let file = open_variable(c"RELATA_FAULT_REPORT", libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC);
    if file < 0 {
        return core::ptr::null_mut();
    }
    // SAFETY: a new mapping of a file of that length.
    unsafe {
        kernel!(libc::SYS_ftruncate, file, REPORT_BYTES);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let mapped = kernel!(libc::SYS_mmap, 0, REPORT_BYTES, protection, libc::MAP_SHARED, file, 0);
        kernel!(libc::SYS_close, file);
        if mapped < 0 { die() } else { mapped as *mut u8 }
    }
}

/// Ends the process as a power cut would.
pub fn die() -> ! {
    loop {
        // SAFETY: plain calls of the kernel.
        unsafe { kernel!(libc::SYS_kill, kernel!(libc::SYS_getpid), libc::SIGKILL) };
    }
}

/// Whether a path is under the root.
pub fn concerns(path: &[u8]) -> bool {
    settings().is_some_and(|settings| match path.strip_prefix(settings.root) {
        Some(rest) => rest.is_empty() || rest[0] == b'/',
        None => false,
    })
}

pub fn leaves_out_syncs() -> bool {
    settings().is_some_and(|settings| settings.no_sync)
}

pub fn records() -> bool {
    settings().is_some_and(|settings| settings.journal >= 0)
}

pub fn set_errno(errno: c_int) {
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() = errno };
}

/// Held while a call has its effect.
struct Turn;

impl Turn {
    fn take() -> Self {
        while BUSY.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            // SAFETY: a plain call of the kernel.
            unsafe { kernel!(libc::SYS_sched_yield) };
        }
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Release);
    }
}

/// A call of interest: what it is called, and what it is about.
pub struct Call<'a> {
    pub name: &'static [u8],
    pub path: &'a [u8],
}

impl Call<'_> {
    /// Counts the call, lets it through (or not), and records it. `torn` has half of its effect.
    pub fn pass<'r>(
        &self,
        torn: impl FnOnce(),
        real: impl FnOnce() -> isize,
        record: impl FnOnce(isize) -> Option<Record<'r>>,
    ) -> isize {
        let Some(settings) = settings() else { return real() };
        let _turn = Turn::take();
        let counted = count(settings);
        let number = if settings.within.is_empty() { counted } else { self.number_within(settings.within) };
        self.note(settings, LAST, REPORT_BYTES);
        self.trace(settings);
        let is_meant = number == settings.at || settings.action == Action::FailOn && settings.at > 0 && number > settings.at;
        if is_meant {
            // The first call that is acted on.
            if number == settings.at {
                self.note(settings, ACTED_ON, LAST);
            }
            match settings.action {
                Action::Fail | Action::FailOn => {
                    set_errno(settings.errno);
                    return -1;
                }
                Action::KillBefore => die(),
                Action::KillTorn => {
                    torn();
                    die();
                }
                Action::KillAfter => {
                    real();
                    die();
                }
            }
        }
        let returned = real();
        if returned >= 0
            && settings.journal >= 0
            && let Some(record) = record(returned)
        {
            record.append(settings.journal);
        }
        returned
    }

    /// The number of the call among those whose path has one of these texts; 0 of another.
    fn number_within(&self, texts: &[u8]) -> u64 {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let has = |text: &[u8]| self.path.windows(text.len()).any(|part| part == text);
        match texts.split(|&byte| byte == b'|').any(has) {
            true => NUMBER.fetch_add(1, Ordering::Relaxed) + 1,
            false => 0,
        }
    }

    /// Writes a line about the call, with a zero at its end, in a part of the report.
    fn note(&self, settings: &Settings, start: usize, end: usize) {
        if settings.report.is_null() {
            return;
        }
        let line = self.name.iter().chain(b" ").chain(self.path).take(end - start - 1);
        for (at, byte) in (start..).zip(line.chain(b"\0")) {
            // SAFETY: `at` stays below the mapping's length, and the turn is held.
            unsafe { settings.report.add(at).write(*byte) };
        }
    }

    fn trace(&self, settings: &Settings) {
        if settings.trace >= 0 {
            for part in [self.name, b" ", self.path, b"\n"] {
                write_all(settings.trace, part.as_ptr().cast(), part.len());
            }
        }
    }
}

fn count(settings: &Settings) -> u64 {
    static ALONE: AtomicU64 = AtomicU64::new(0);
    let counter = if settings.report.is_null() {
        &ALONE
    } else {
        // SAFETY: the mapping is page-aligned, lives as long as the process, and is used as this atomic only.
        unsafe { AtomicU64::from_ptr(settings.report.cast()) }
    };
    counter.fetch_add(1, Ordering::Relaxed) + 1
}
