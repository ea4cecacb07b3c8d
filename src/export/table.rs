//! A file of rows: Arrow IPC or Parquet.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::parquet::refused;
use crate::snapshot::Snapshot;
use crate::{Error, Result};

/// Bytes of a row group, at most: it is held in memory until it is whole.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// The format of a table's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// An Arrow IPC file, uncompressed, which readers map into memory: `pyarrow.ipc.open_file`.
    Arrow,
    /// Parquet, compressed with zstd: smaller, and slower to read.
    Parquet,
}

impl TableFormat {
    /// `arrow` or `parquet`, which is the files' extension too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// The format that a file's name ends with, if it is one of them.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        [Self::Arrow, Self::Parquet].into_iter().find(|format| format.name() == extension)
    }
}

/// What a table's schema says of where it comes from: this program's version, the snapshot, and more, each as `relata.NAME`.
pub(super) fn metadata<'n>(snapshot: &Snapshot, more: impl IntoIterator<Item = (&'n str, String)>) -> HashMap<String, String> {
    let all = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("snapshot", snapshot.id().to_string())];
    all.into_iter().chain(more).map(|(name, value)| (format!("relata.{name}"), value)).collect()
}

/// A table's file that is being written, some rows at a time.
pub(super) struct TableWriter {
    path: PathBuf,
    open: Open,
}

enum Open {
    Arrow(Box<FileWriter<BufWriter<File>>>),
    Parquet(Box<ArrowWriter<BufWriter<File>>>),
}

impl TableWriter {
    /// # Errors
    /// When it cannot be written, or the format has no form for the schema.
    pub fn create(path: PathBuf, schema: &SchemaRef, format: TableFormat) -> Result<Self> {
        let file = BufWriter::new(File::create(&path).map_err(Error::io(&path, "cannot write the table"))?);
        let open = match format {
            TableFormat::Arrow => {
                Open::Arrow(Box::new(FileWriter::try_new(file, schema).map_err(|error| refused(&path, error))?))
            }
            TableFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
                    .build();
                let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties));
                Open::Parquet(Box::new(writer.map_err(|error| refused(&path, error))?))
            }
        };
        Ok(Self { path, open })
    }

    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.open {
            Open::Arrow(writer) => writer.write(batch).map_err(|error| refused(&self.path, error)),
            Open::Parquet(writer) => writer.write(batch).map_err(|error| refused(&self.path, error)),
        }
    }

    /// Writes what ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn close(self) -> Result<()> {
        match self.open {
            Open::Arrow(mut writer) => writer.finish().map_err(|error| refused(&self.path, error)),
            Open::Parquet(writer) => writer.close().map(drop).map_err(|error| refused(&self.path, error)),
        }
    }
}

/// The rows of a table's file, for tests.
#[cfg(test)]
pub(super) fn read(path: &Path) -> Vec<RecordBatch> {
    use arrow_ipc::reader::FileReader;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let file = File::open(path).unwrap();
    match TableFormat::of(path).unwrap() {
        TableFormat::Arrow => FileReader::try_new(file, None).unwrap().map(std::result::Result::unwrap).collect(),
        TableFormat::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
            reader.map(std::result::Result::unwrap).collect()
        }
    }
}
