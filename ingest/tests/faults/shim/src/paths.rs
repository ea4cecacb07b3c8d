//! Absolute paths of what a call names, in memory of the caller's stack.

use core::ffi::{CStr, c_char, c_int};

const LONGEST: usize = 4096;

pub struct Path {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Path {
    pub fn empty() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(LONGEST - 1 - self.length);
        self.bytes[self.length..self.length + kept].copy_from_slice(&bytes[..kept]);
        self.length += kept;
    }

    /// What the kernel says the descriptor is; a removed file's path ends in ` (deleted)`.
    pub fn of_descriptor(descriptor: c_int) -> Self {
        let mut link = Self::empty();
        link.push(b"/proc/self/fd/");
        let mut digits = [0; 10];
        let mut at = digits.len();
        let mut rest = descriptor.max(0);
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        link.push(&digits[at..]);
        let mut path = Self::empty();
        // SAFETY: `link` ends in a zero, since `push` never fills the last byte; the buffer is as long as is said.
        let read =
            unsafe { kernel!(libc::SYS_readlinkat, libc::AT_FDCWD, link.bytes.as_ptr(), path.bytes.as_mut_ptr(), LONGEST - 1,) };
        path.length = usize::try_from(read).unwrap_or(0);
        path
    }

    /// A path argument, from the folder that it starts in.
    ///
    /// # Safety
    /// `path` is null or a C string.
    pub unsafe fn of_argument(folder: c_int, path: *const c_char) -> Self {
        if path.is_null() {
            return Self::empty();
        }
        // SAFETY: by this function's condition.
        let given = unsafe { CStr::from_ptr(path) }.to_bytes();
        let mut whole = Self::empty();
        if given.first() != Some(&b'/') {
            if folder == libc::AT_FDCWD {
                // SAFETY: the buffer is as long as is said.
                let read = unsafe { kernel!(libc::SYS_getcwd, whole.bytes.as_mut_ptr(), LONGEST - 1) };
                // The kernel counts the zero at the end.
                whole.length = usize::try_from(read - 1).unwrap_or(0);
            } else {
                whole = Self::of_descriptor(folder);
            }
            whole.push(b"/");
        }
        whole.push(given);
        while whole.length > 1 && whole.bytes[whole.length - 1] == b'/' {
            whole.length -= 1;
        }
        whole.bytes[whole.length] = 0;
        whole
    }
}
