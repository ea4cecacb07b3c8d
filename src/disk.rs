//! Files on the disk: reading and writing at a place, and what makes a change durable.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::{Error, Result};

/// Fills `bytes` from a place in a file.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
    }
    #[cfg(windows)]
    {
        let (mut rest, mut at) = (bytes, offset);
        while !rest.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(file, rest, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => (rest, at) = (&mut rest[read..], at + read as u64),
            }
        }
        Ok(())
    }
}

/// Writes `bytes` at a place in a file.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
    }
    #[cfg(windows)]
    {
        let (mut rest, mut at) = (bytes, offset);
        while !rest.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(file, rest, at)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => (rest, at) = (&rest[written..], at + written as u64),
            }
        }
        Ok(())
    }
}

/// Writes parts that follow each other at a place in a file: with one request, so that the system keeps them in few large
/// pieces of its memory, which who maps the file reads without a fault for every few pages.
pub(crate) fn write_parts_at(file: &File, parts: &[&[u8]], mut offset: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        /// The most parts of a request (`IOV_MAX`).
        const PARTS: usize = 1024;
        let mut slices: Vec<io::IoSlice<'_>> = parts.iter().map(|part| io::IoSlice::new(part)).collect();
        let mut rest = slices.as_mut_slice();
        // Empty ones at the front would look like a request that writes nothing.
        io::IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let place = i64::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
            // SAFETY: an `IoSlice` is laid out as an `iovec`, and borrows the memory that it points to; the descriptor is open
            // for as long as `file` is borrowed.
            let written =
                unsafe { libc::pwritev64(file.as_raw_fd(), rest.as_ptr().cast(), rest.len().min(PARTS) as libc::c_int, place) };
            match usize::try_from(written) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    io::IoSlice::advance_slices(&mut rest, written);
                }
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
        Ok(())
    }
    #[cfg(not(target_os = "linux"))]
    {
        for part in parts {
            write_at(file, part, offset)?;
            offset += part.len() as u64;
        }
        Ok(())
    }
}

/// Asks the system to begin writing a range of a file to the disk, so that syncing it later takes less long. Only a hint.
pub(crate) fn begin_writing_back(file: &File, offset: u64, length: u64) {
    #[cfg(target_os = "linux")]
    if let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) {
        use std::os::fd::AsRawFd;
        // SAFETY: the descriptor is open for as long as `file` is borrowed; the call touches no memory of this process.
        unsafe {
            libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, offset, length);
}

/// Writes a small file whole or not at all, and durably.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("writing");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::io(path, "cannot write")(error)
    })?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes renames and removals in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io(folder, "cannot sync the folder"))
}
