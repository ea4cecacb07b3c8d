//! The calls that are stood between, by their names in the C library.

use core::ffi::{c_char, c_int, c_long, c_uint, c_void};

use libc::{iovec, mode_t, off_t, size_t, ssize_t};

use crate::paths::Path;
use crate::record::{Kind, Record};
use crate::state::{Call, concerns, leaves_out_syncs, records, set_errno};

fn nothing() {}

fn inode(folder: c_int, path: *const c_char, flags: c_int) -> Option<u64> {
    let mut found = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: callers give a C string; the kernel fills what is zeroed.
    let stated = unsafe { kernel!(libc::SYS_newfstatat, folder, path, found.as_mut_ptr(), flags) };
    // SAFETY: all-zero is a `stat` too.
    (stated == 0).then(|| unsafe { found.assume_init() }.st_ino)
}

fn inode_of(descriptor: c_int) -> u64 {
    inode(descriptor, c"".as_ptr(), libc::AT_EMPTY_PATH).unwrap_or(0)
}

unsafe fn open_at(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the arguments are the caller's.
    let real = || unsafe { kernel!(libc::SYS_openat, folder, path, flags, mode) };
    if flags & (libc::O_CREAT | libc::O_TRUNC) == 0 {
        return real() as c_int;
    }
    // SAFETY: the path is the caller's.
    let whole = unsafe { Path::of_argument(folder, path) };
    if !concerns(whole.bytes()) {
        return real() as c_int;
    }
    let known = records().then(|| inode(folder, path, 0)).flatten();
    let call = Call { name: b"open", path: whole.bytes() };
    let record = |opened: isize| match known {
        Some(known) if flags & libc::O_TRUNC != 0 => Some(Record { inode: known, ..Record::of(Kind::Truncate) }),
        Some(_) => None,
        None => Some(Record { paths: [whole.bytes(), &[]], inode: inode_of(opened as c_int), ..Record::of(Kind::Create) }),
    };
    call.pass(nothing, real, record) as c_int
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as the caller's.
    unsafe { open_at(libc::AT_FDCWD, path, flags, mode) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as the caller's.
    unsafe { open_at(libc::AT_FDCWD, path, flags, mode) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as the caller's.
    unsafe { open_at(folder, path, flags, mode) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat64(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as the caller's.
    unsafe { open_at(folder, path, flags, mode) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn creat(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: as the caller's.
    unsafe { open_at(libc::AT_FDCWD, path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn creat64(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: as the caller's.
    unsafe { creat(path, mode) }
}

/// Writes at `offset`, or where the file stands.
unsafe fn write_pieces(name: &'static [u8], file: c_int, pieces: &[iovec], offset: Option<off_t>) -> ssize_t {
    let through = |pieces: &[iovec]| {
        let (start, count) = (pieces.as_ptr(), pieces.len());
        // SAFETY: the memory is the caller's.
        unsafe {
            match offset {
                Some(offset) => kernel!(libc::SYS_pwritev, file, start, count, offset, 0),
                None => kernel!(libc::SYS_writev, file, start, count),
            }
        }
    };
    let path = Path::of_descriptor(file);
    if !concerns(path.bytes()) {
        return through(pieces);
    }
    let torn = || {
        if let Some(first) = pieces.iter().find(|piece| piece.iov_len > 0) {
            through(&[iovec { iov_base: first.iov_base, iov_len: first.iov_len.div_ceil(2) }]);
        }
    };
    let record = |written: isize| {
        // SAFETY: a plain call of the kernel.
        let end = || unsafe { kernel!(libc::SYS_lseek, file, 0, libc::SEEK_CUR) };
        Some(Record {
            inode: inode_of(file),
            offset: offset.unwrap_or_else(|| (end() - written) as i64),
            data: pieces,
            length: written as u64,
            ..Record::of(Kind::Write)
        })
    };
    Call { name, path: path.bytes() }.pass(torn, || through(pieces), record)
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(file: c_int, bytes: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: as the caller's.
    unsafe { write_pieces(b"write", file, &[iovec { iov_base: bytes.cast_mut(), iov_len: length }], None) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(file: c_int, bytes: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    // SAFETY: as the caller's.
    unsafe { write_pieces(b"pwrite", file, &[iovec { iov_base: bytes.cast_mut(), iov_len: length }], Some(offset)) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(file: c_int, bytes: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    // SAFETY: as the caller's.
    unsafe { pwrite(file, bytes, length, offset) }
}

unsafe fn pieces<'a>(pieces: *const iovec, count: c_int) -> &'a [iovec] {
    match usize::try_from(count) {
        // SAFETY: the caller of the C library's function says that there are so many.
        Ok(count) if count > 0 && !pieces.is_null() => unsafe { core::slice::from_raw_parts(pieces, count) },
        _ => &[],
    }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(file: c_int, start: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: as the caller's.
    unsafe { write_pieces(b"writev", file, pieces(start, count), None) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwritev(file: c_int, start: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    // SAFETY: as the caller's.
    unsafe { write_pieces(b"pwritev", file, pieces(start, count), Some(offset)) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwritev64(file: c_int, start: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    // SAFETY: as the caller's.
    unsafe { pwritev(file, start, count, offset) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(file: c_int, length: off_t) -> c_int {
    // SAFETY: a plain call of the kernel.
    let real = || unsafe { kernel!(libc::SYS_ftruncate, file, length) };
    let path = Path::of_descriptor(file);
    if !concerns(path.bytes()) {
        return real() as c_int;
    }
    let record = |_| Some(Record { inode: inode_of(file), offset: length, ..Record::of(Kind::Truncate) });
    Call { name: b"ftruncate", path: path.bytes() }.pass(nothing, real, record) as c_int
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(file: c_int, length: off_t) -> c_int {
    // SAFETY: as the caller's.
    unsafe { ftruncate(file, length) }
}

/// Space that is asked for beforehand is refused where it is looked after: none of the programs relies on it.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate(file: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    if concerns(Path::of_descriptor(file).bytes()) {
        set_errno(libc::EOPNOTSUPP);
        return -1;
    }
    // SAFETY: a plain call of the kernel.
    unsafe { kernel!(libc::SYS_fallocate, file, mode, offset, length) as c_int }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate64(file: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    // SAFETY: as the caller's.
    unsafe { fallocate(file, mode, offset, length) }
}

fn sync(name: &'static [u8], number: c_long, file: c_int) -> c_int {
    // SAFETY: a plain call of the kernel.
    let real = || unsafe { kernel!(number, file) };
    let path = Path::of_descriptor(file);
    if !concerns(path.bytes()) {
        return real() as c_int;
    }
    let left_out = leaves_out_syncs();
    let record = |_| (!left_out).then(|| Record { inode: inode_of(file), ..Record::of(Kind::Sync) });
    Call { name, path: path.bytes() }.pass(nothing, || if left_out { 0 } else { real() }, record) as c_int
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(file: c_int) -> c_int {
    sync(b"fsync", libc::SYS_fsync, file)
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(file: c_int) -> c_int {
    sync(b"fdatasync", libc::SYS_fdatasync, file)
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sync_file_range(file: c_int, offset: off_t, length: off_t, flags: c_uint) -> c_int {
    // SAFETY: a plain call of the kernel.
    let real = || unsafe { kernel!(libc::SYS_sync_file_range, file, offset, length, flags) };
    let path = Path::of_descriptor(file);
    if !concerns(path.bytes()) {
        return real() as c_int;
    }
    let record = |_| Some(Record { inode: inode_of(file), ..Record::of(Kind::SyncRange) });
    Call { name: b"sync_file_range", path: path.bytes() }.pass(nothing, real, record) as c_int
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn renameat2(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    // SAFETY: as the caller's.
    let real = || unsafe { kernel!(libc::SYS_renameat2, from_folder, from, to_folder, to, flags) };
    // SAFETY: as the caller's.
    let (source, target) = unsafe { (Path::of_argument(from_folder, from), Path::of_argument(to_folder, to)) };
    if !concerns(source.bytes()) && !concerns(target.bytes()) {
        return real() as c_int;
    }
    if flags != 0 {
        set_errno(libc::EINVAL);
        return -1;
    }
    let record = |_| Some(Record { paths: [source.bytes(), target.bytes()], ..Record::of(Kind::Rename) });
    Call { name: b"rename to", path: target.bytes() }.pass(nothing, real, record) as c_int
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: as the caller's.
    unsafe { renameat2(libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn renameat(from_folder: c_int, from: *const c_char, to_folder: c_int, to: *const c_char) -> c_int {
    // SAFETY: as the caller's.
    unsafe { renameat2(from_folder, from, to_folder, to, 0) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkat(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    // SAFETY: as the caller's.
    let real = || unsafe { kernel!(libc::SYS_linkat, from_folder, from, to_folder, to, flags) };
    // SAFETY: as the caller's.
    let (source, target) = unsafe { (Path::of_argument(from_folder, from), Path::of_argument(to_folder, to)) };
    if !concerns(target.bytes()) {
        return real() as c_int;
    }
    let record = |_| Some(Record { paths: [source.bytes(), target.bytes()], ..Record::of(Kind::Link) });
    Call { name: b"link", path: target.bytes() }.pass(nothing, real, record) as c_int
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: as the caller's.
    unsafe { linkat(libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: as the caller's.
    let real = || unsafe { kernel!(libc::SYS_unlinkat, folder, path, flags) };
    // SAFETY: as the caller's.
    let whole = unsafe { Path::of_argument(folder, path) };
    if !concerns(whole.bytes()) {
        return real() as c_int;
    }
    let is_folder = flags & libc::AT_REMOVEDIR != 0;
    let (name, kind): (&'static [u8], Kind) = if is_folder { (b"rmdir", Kind::RemoveFolder) } else { (b"unlink", Kind::Unlink) };
    let record = |_| Some(Record { paths: [whole.bytes(), &[]], ..Record::of(kind) });
    Call { name, path: whole.bytes() }.pass(nothing, real, record) as c_int
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: as the caller's.
    unsafe { unlinkat(libc::AT_FDCWD, path, 0) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: as the caller's.
    unsafe { unlinkat(libc::AT_FDCWD, path, libc::AT_REMOVEDIR) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdirat(folder: c_int, path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: as the caller's.
    let real = || unsafe { kernel!(libc::SYS_mkdirat, folder, path, mode) };
    // SAFETY: as the caller's.
    let whole = unsafe { Path::of_argument(folder, path) };
    if !concerns(whole.bytes()) {
        return real() as c_int;
    }
    let record = |_| {
        let inode = inode(folder, path, 0).unwrap_or(0);
        Some(Record { paths: [whole.bytes(), &[]], inode, ..Record::of(Kind::MakeFolder) })
    };
    Call { name: b"mkdir", path: whole.bytes() }.pass(nothing, real, record) as c_int
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: as the caller's.
    unsafe { mkdirat(libc::AT_FDCWD, path, mode) }
}

// What moves data past this library's eyes.

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn copy_file_range(
    from: c_int,
    from_offset: *mut off_t,
    to: c_int,
    to_offset: *mut off_t,
    length: size_t,
    flags: c_uint,
) -> ssize_t {
    if concerns(Path::of_descriptor(to).bytes()) {
        // The standard library copies by reading and writing then.
        set_errno(libc::ENOSYS);
        return -1;
    }
    // SAFETY: as the caller's.
    unsafe { kernel!(libc::SYS_copy_file_range, from, from_offset, to, to_offset, length, flags) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendfile(to: c_int, from: c_int, offset: *mut off_t, length: size_t) -> ssize_t {
    if concerns(Path::of_descriptor(to).bytes()) {
        set_errno(libc::EINVAL);
        return -1;
    }
    // SAFETY: as the caller's.
    unsafe { kernel!(libc::SYS_sendfile, to, from, offset, length) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendfile64(to: c_int, from: c_int, offset: *mut off_t, length: size_t) -> ssize_t {
    // SAFETY: as the caller's.
    unsafe { sendfile(to, from, offset, length) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn splice(
    from: c_int,
    from_offset: *mut off_t,
    to: c_int,
    to_offset: *mut off_t,
    length: size_t,
    flags: c_uint,
) -> ssize_t {
    if concerns(Path::of_descriptor(to).bytes()) {
        set_errno(libc::EINVAL);
        return -1;
    }
    // SAFETY: as the caller's.
    unsafe { kernel!(libc::SYS_splice, from, from_offset, to, to_offset, length, flags) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: off_t,
) -> *mut c_void {
    let is_shared = flags & libc::MAP_SHARED != 0 && protection & libc::PROT_WRITE != 0 && file >= 0;
    if is_shared && concerns(Path::of_descriptor(file).bytes()) {
        set_errno(libc::EACCES);
        return libc::MAP_FAILED;
    }
    // SAFETY: as the caller's.
    unsafe { kernel!(libc::SYS_mmap, address, length, protection, flags, file, offset) as *mut c_void }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap64(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: off_t,
) -> *mut c_void {
    // SAFETY: as the caller's.
    unsafe { mmap(address, length, protection, flags, file, offset) }
}
