use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use relata_schema::suggestion;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

const BUFFER: usize = 1 << 17;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A source's file: where it is, how large, its hash, and how far it has been read.
#[derive(Clone)]
pub struct Input {
    path: PathBuf,
    bytes: u64,
    position: Arc<AtomicU64>,
}

impl Input {
    /// Looks the file up.
    ///
    /// # Errors
    /// [`Error::Missing`] with near names of the folder; [`Error::Io`] where it is no file that can be read.
    pub fn open(path: &Path) -> Result<Self> {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing { path: path.to_owned(), suggestion: near_names(path) });
            }
            Err(error) => return Err(Error::io(path, "cannot read the file")(error)),
        };
        if !found.is_file() {
            return Err(Error::content(path, "the path", "found a folder, expected a file"));
        }
        Ok(Self { path: path.to_owned(), bytes: found.len(), position: Arc::default() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size on the disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many of its bytes have been read; shared with progress bars.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// The SHA-256 of its bytes as they lie on the disk, in hexadecimal.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let mut file = File::open(&self.path).map_err(Error::io(&self.path, "cannot read the file"))?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            match file.read(&mut buffer).map_err(Error::io(&self.path, "cannot read the file"))? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its text, decompressed where its first bytes are those of gzip (any number of members, so bgzip too), without a
    /// byte-order mark.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn text(&self) -> Result<Box<dyn BufRead + Send>> {
        let io = |error| Error::io(&self.path, "cannot read the file")(error);
        let file = File::open(&self.path).map_err(io)?;
        self.position.store(0, Ordering::Relaxed);
        let counted = Counted { file, position: Arc::clone(&self.position) };
        let mut raw = BufReader::with_capacity(BUFFER, counted);
        let is_gzip = raw.fill_buf().map_err(io)?.starts_with(b"\x1f\x8b");
        let mut text: Box<dyn BufRead + Send> =
            if is_gzip { Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw))) } else { Box::new(raw) };
        let start = text.fill_buf().map_err(|error| self.read_error(1, &error))?;
        if start.starts_with(BYTE_ORDER_MARK) {
            text.consume(BYTE_ORDER_MARK.len());
        }
        Ok(text)
    }

    /// The first bytes of its text, at most `count`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn start(&self, count: u64) -> Result<Vec<u8>> {
        let mut start = Vec::new();
        // A broken compressed stream is reported by the reader, with its line.
        let _ = self.text()?.take(count).read_to_end(&mut start);
        Ok(start)
    }

    /// The error for a failed read at a line: a truncated or broken gzip stream says so.
    pub fn read_error(&self, line: u64, error: &io::Error) -> Error {
        let at = self.position();
        let message = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!(
                "the compressed file ends in the middle of its data (byte {at} of {}); it is probably truncated: fetch it again",
                self.bytes
            ),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => format!("cannot be decoded near byte {at}: {error}"),
            _ => format!("cannot be read near byte {at}: {error}"),
        };
        Error::line(&self.path, line, message)
    }

    /// Calls `each` with every line, its number from 1, and without its line break (`\n` or `\r\n`).
    ///
    /// # Errors
    /// When the file cannot be read, is no UTF-8, or `each` fails.
    pub fn lines(&self, mut each: impl FnMut(u64, &str) -> Result<()>) -> Result<()> {
        let mut text = self.text()?;
        let mut buffer = Vec::new();
        let mut number = 0;
        loop {
            buffer.clear();
            number += 1;
            if text.read_until(b'\n', &mut buffer).map_err(|error| self.read_error(number, &error))? == 0 {
                return Ok(());
            }
            let line = buffer.strip_suffix(b"\n").unwrap_or(&buffer);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = std::str::from_utf8(line)
                .map_err(|error| Error::line(&self.path, number, format!("found bytes that are no UTF-8 ({error})")))?;
            each(number, line)?;
        }
    }
}

struct Counted {
    file: File,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.position.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The ending of [`Error::Missing`]'s message.
pub(crate) fn near_names(path: &Path) -> String {
    let Some(folder) = path.parent() else { return String::new() };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match fs::read_dir(folder) {
        Ok(entries) => {
            let names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
            let wanted = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            suggestion(wanted, names.iter().map(String::as_str))
        }
        Err(_) => format!("; its folder {} is not there either", folder.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn lines(path: &Path) -> Result<Vec<(u64, String)>> {
        let mut found = Vec::new();
        Input::open(path)?.lines(|number, line| {
            found.push((number, line.to_owned()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn lines_are_the_same_plain_gzipped_in_members_with_mark_and_carriage_returns() {
        let expected = vec![(1, "a\tb".to_owned()), (2, String::new()), (3, "c".to_owned())];
        let members: Vec<u8> = [gzip(b"a\tb\r\n"), gzip(b"\nc")].concat();
        for bytes in [b"a\tb\n\nc\n".to_vec(), b"\xef\xbb\xbfa\tb\r\n\r\nc".to_vec(), members] {
            let (_folder, path) = write("x", &bytes);
            assert_eq!(lines(&path).unwrap(), expected);
        }
    }

    #[test]
    fn a_truncated_gzip_and_wrong_bytes_have_their_line() {
        let text: String = (0..20_000).map(|number| format!("{number}\n")).collect();
        let whole = gzip(text.as_bytes());
        let (_folder, path) = write("x.gz", &whole[..whole.len() / 2]);
        let shown = lines(&path).unwrap_err().to_string();
        assert!(shown.contains("probably truncated"), "{shown}");
        let (_folder, path) = write("x", b"good\n\xff\xfe\n");
        let shown = lines(&path).unwrap_err().to_string();
        assert!(shown.contains("x:2: found bytes that are no UTF-8"), "{shown}");
    }

    #[test]
    fn a_missing_file_is_answered_with_the_nearest_name() {
        let (folder, _path) = write("genes.gtf.gz", b"");
        let shown = Input::open(&folder.path().join("gene.gtf.gz")).err().unwrap().to_string();
        assert!(shown.ends_with("there is no such file; did you mean `genes.gtf.gz`?"), "{shown}");
    }

    #[test]
    fn the_hash_is_that_of_the_file() {
        let (_folder, path) = write("x", b"abc");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2, B.1
        assert_eq!(Input::open(&path).unwrap().sha256().unwrap(), expected);
    }
}
