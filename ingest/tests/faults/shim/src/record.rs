//! The journal: one record a call, in the order of their effects, numbers as the machine has them.
//!
//! ```text
//! kind u8, 3 zeros, length of path 1 u16, length of path 2 u16, inode u64, offset i64, length of data u64,
//! path 1, path 2, data
//! ```

use core::ffi::{c_int, c_void};

#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Kind {
    /// A file was made: path 1, inode.
    Create = 1,
    /// A file's length was set: inode, offset.
    Truncate = 2,
    /// Inode, offset, data.
    Write = 3,
    /// A file or folder was synced: inode.
    Sync = 4,
    /// Path 1 became path 2.
    Rename = 5,
    /// Path 2 is one more name of path 1.
    Link = 6,
    /// Path 1 went.
    Unlink = 7,
    /// Path 1, inode.
    MakeFolder = 8,
    /// Path 1 went.
    RemoveFolder = 9,
    /// Makes nothing durable, by itself: inode.
    SyncRange = 10,
}

pub struct Record<'a> {
    pub kind: Kind,
    pub paths: [&'a [u8]; 2],
    pub inode: u64,
    pub offset: i64,
    pub data: &'a [libc::iovec],
    /// How much of `data` took effect.
    pub length: u64,
}

impl Record<'_> {
    pub fn of(kind: Kind) -> Self {
        Self { kind, paths: [&[], &[]], inode: 0, offset: 0, data: &[], length: 0 }
    }

    pub fn append(&self, journal: c_int) {
        let mut header = [0; 32];
        header[0] = self.kind as u8;
        header[4..6].copy_from_slice(&(self.paths[0].len() as u16).to_ne_bytes());
        header[6..8].copy_from_slice(&(self.paths[1].len() as u16).to_ne_bytes());
        header[8..16].copy_from_slice(&self.inode.to_ne_bytes());
        header[16..24].copy_from_slice(&self.offset.to_ne_bytes());
        header[24..32].copy_from_slice(&self.length.to_ne_bytes());
        write_all(journal, header.as_ptr().cast(), header.len());
        for path in self.paths {
            write_all(journal, path.as_ptr().cast(), path.len());
        }
        let mut left = self.length as usize;
        for piece in self.data {
            let length = piece.iov_len.min(left);
            write_all(journal, piece.iov_base, length);
            left -= length;
        }
    }
}

pub fn write_all(journal: c_int, mut bytes: *const c_void, mut length: usize) {
    while length > 0 {
        // SAFETY: the callers give memory of at least that length.
        let written = unsafe { kernel!(libc::SYS_write, journal, bytes, length) };
        if written <= 0 {
            // A journal with a hole would be believed; without its end, the run is seen to be none.
            crate::state::die();
        }
        // SAFETY: the kernel wrote no more than `length`.
        bytes = unsafe { bytes.add(written as usize) };
        length -= written as usize;
    }
}
