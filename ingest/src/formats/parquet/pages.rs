use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// What is read at once of a page's header, in bytes. Most are shorter.
const HEADER: usize = 512;

/// The pages of a column, read through one handle of their file: parquet's own way takes a new handle twice a page, and reads
/// 8 KiB for each header.
///
/// Whoever reads a header or a page moves the handle, so that each column that is decoded has its own.
pub(super) struct Pages(Arc<File>);

impl Pages {
    pub fn of(file: File) -> Self {
        Self(Arc::new(file))
    }

    fn from(&self, start: u64) -> std::io::Result<Arc<File>> {
        let mut file = Arc::clone(&self.0);
        file.seek(SeekFrom::Start(start))?;
        Ok(file)
    }
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Pages {
    type T = BufReader<Arc<File>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::with_capacity(HEADER, self.from(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let wrong = |error| ParquetError::General(format!("{length} bytes from byte {start} on cannot be read: {error}"));
        let mut page = Vec::with_capacity(length);
        let read = self.from(start)?.take(length as u64).read_to_end(&mut page).map_err(wrong)?;
        if read < length {
            return Err(wrong(ErrorKind::UnexpectedEof.into()));
        }
        Ok(page.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_pages_are_read_anywhere_in_any_order() {
        let bytes: Vec<u8> = (0..5000_u32).map(|at| (at % 251) as u8).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pages");
        std::fs::write(&path, &bytes).unwrap();
        let pages = Pages::of(File::open(&path).unwrap());
        assert_eq!(pages.len(), 5000);
        for (start, length) in [(100, 50), (0, 5000), (4990, 10), (7, 0), (5000, 0), (3, 4 * HEADER)] {
            let mut header = vec![0; length];
            pages.get_read(start as u64).unwrap().read_exact(&mut header).unwrap();
            assert_eq!(header, bytes[start..start + length]);
            assert_eq!(pages.get_bytes(start as u64, length).unwrap(), bytes[start..start + length]);
        }
        for (start, length) in [(4990, 11), (5000, 1), (1 << 40, 1)] {
            assert!(pages.get_read(start).unwrap().read_exact(&mut vec![0; length]).is_err());
            let shown = pages.get_bytes(start, length).unwrap_err().to_string();
            assert!(shown.contains(&format!("{length} bytes from byte {start} on cannot be read: ")), "{shown}");
        }
        assert!(pages.get_bytes(u64::MAX, 1).is_err());
    }
}
