use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::schema::types::Type;
use rayon::Scope;
use relata::pool::received;
use relata_schema::suggestion;

use super::column::{Column, Purpose, fits};
use super::pages::Pages;
use crate::error::guarded;
use crate::{ColumnSpec, Error, Input, Result};

/// Memory for what is decoded before it is asked for, in bytes.
const AHEAD_BYTES: u64 = 256 << 20;

/// Parts of each column that are decoded ahead.
const AHEAD: usize = 4;

/// The most rows of a part: its columns stay in a core's cache, and their memory serves again.
const PART_ROWS: u64 = 1 << 16;

const MAGIC: &[u8; 4] = b"PAR1";

/// A Parquet file, and which of its columns are read.
pub(super) struct File {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    columns: Vec<Chosen>,
    rows: u64,
}

/// A column that is read.
struct Chosen {
    name: String,
    /// Its place among the file's.
    place: usize,
}

/// Some rows of a row group.
#[derive(Clone, Copy)]
struct Span {
    group: usize,
    rows: usize,
    first_row: u64,
}

/// Some rows, decoded.
pub(super) struct Part {
    /// The first row's number in the file, from 0.
    pub first_row: u64,
    pub rows: usize,
    /// As they were chosen.
    pub columns: Vec<Column>,
}

impl File {
    /// Reads what the file says of itself.
    ///
    /// # Errors
    /// When it is no Parquet file or is damaged.
    pub fn open(input: &Input) -> Result<Self> {
        let path = input.path();
        let io = |error| Error::io(path, "cannot read the file")(error);
        let mut file = fs::File::open(path).map_err(io)?;
        expect_magic(path, &mut file)?;
        let footer = |error: ParquetError| Error::content(path, "the footer", format!("cannot be read: {error}; {REMEDY}"));
        // What the writer's Arrow schema says beyond Parquet's own types is of no use here.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = guarded(path, "the footer", "Parquet", || {
            let plain = ArrowReaderMetadata::load(&file, options.clone()).map_err(footer)?;
            // Texts come as places in a dictionary, which Parquet files mostly have, and which names are looked up by.
            let fields = plain.schema().fields().iter().map(|field| match field.data_type() {
                DataType::Utf8 => {
                    let texts = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                    Arc::new(Field::new(field.name(), texts, field.is_nullable()))
                }
                _ => Arc::clone(field),
            });
            let options = options.clone().with_schema(Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>())));
            ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options).map_err(footer)
        })?;
        let mut rows = 0_u64;
        for (number, group) in metadata.metadata().row_groups().iter().enumerate() {
            let place = || format!("row group {number}");
            let count = u64::try_from(group.num_rows())
                .map_err(|_| Error::content(path, place(), format!("found {} rows; {REMEDY}", group.num_rows())))?;
            rows = rows.saturating_add(count);
        }
        Ok(Self { path: path.to_owned(), metadata, columns: Vec::new(), rows })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows it holds, as it says.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The name of a chosen column.
    pub fn name(&self, column: usize) -> &str {
        &self.columns[column].name
    }

    /// The place of a chosen column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|known| known.name == name)
    }

    /// Chooses the columns that a setting names.
    ///
    /// # Errors
    /// Where there is no such column (the nearest names), or it is of a type that cannot be read as this.
    pub fn choose(&mut self, spec: &ColumnSpec, purpose: Purpose<'_>, what: &str) -> Result<()> {
        if let Some(name) = &spec.column {
            self.choose_one(name, spec, purpose, what)?;
        }
        for name in [&spec.contig, &spec.start, &spec.end, &spec.strand].into_iter().flatten() {
            self.choose_one(name, spec, Purpose::Name, "a part of an interval")?;
        }
        Ok(())
    }

    fn choose_one(&mut self, name: &str, spec: &ColumnSpec, purpose: Purpose<'_>, what: &str) -> Result<()> {
        let fields = self.metadata.schema().fields();
        let place = fields.iter().position(|field| field.name() == name).ok_or_else(|| {
            let known: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            let message =
                format!("there is no column `{name}`{} (columns: {})", suggestion(name, known.iter().copied()), known.join(", "));
            Error::content(&self.path, "the columns", message)
        })?;
        fits(fields[place].data_type(), spec, purpose).map_err(|expected| {
            let found = shown(&self.metadata.parquet_schema().root_schema().get_fields()[place]);
            let message = format!("found {found}, which cannot be read as {what}; {expected}");
            Error::content(&self.path, format!("column {name}"), message)
        })?;
        if self.column(name).is_none() {
            self.columns.push(Chosen { name: name.to_owned(), place });
        }
        Ok(())
    }

    /// Calls `work` with the file's parts, in their order. Each column is decoded on other threads, some parts ahead.
    pub fn read<R>(&self, work: impl FnOnce(Parts<'_, '_>) -> R) -> R {
        let (feeds, decoded): (Vec<Feed<'_>>, Vec<_>) = self.columns.iter().map(|column| Feed::of(self, column)).unzip();
        rayon::in_place_scope(|scope| {
            feeds.iter().for_each(|feed| (0..AHEAD).for_each(|_| feed.ask(scope)));
            work(Parts { scope, spans: Spans::of(self), feeds: &feeds, decoded })
        })
    }

    /// A reader of a column of a row group, a part at a time.
    fn column_reader(&self, group: usize, column: &Chosen) -> Result<ParquetRecordBatchReader> {
        // A file handle for each, since its position is part of it.
        let file = fs::File::open(&self.path).map_err(Error::io(&self.path, "cannot read the file"))?;
        ParquetRecordBatchReaderBuilder::new_with_metadata(Pages::of(file), self.metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(ProjectionMask::roots(self.metadata.parquet_schema(), [column.place]))
            .with_batch_size(self.part_rows(self.metadata.metadata().row_group(group)))
            .build()
            .map_err(|error| Error::content(&self.path, place(group, column), undecodable(&error)))
    }

    /// How many rows of a group a part has at most, so that parts that are decoded ahead fit their memory.
    fn part_rows(&self, group: &RowGroupMetaData) -> usize {
        let descriptor = self.metadata.parquet_schema();
        let chosen = |leaf: &usize| self.columns.iter().any(|column| column.place == descriptor.get_column_root_idx(*leaf));
        let bytes: u64 = (0..group.num_columns())
            .filter(chosen)
            .map(|leaf| group.column(leaf))
            // A dictionary makes the file small, not what is decoded from it.
            .map(|column| column.uncompressed_size().max(column.num_values().saturating_mul(8)).max(0) as u64)
            .fold(0, u64::saturating_add);
        let of_row = bytes.div_ceil(group.num_rows().max(1) as u64).max(1);
        (AHEAD_BYTES / AHEAD as u64 / of_row).clamp(1, PART_ROWS) as usize
    }
}

fn place(group: usize, column: &Chosen) -> String {
    format!("row group {group}, column {}", column.name)
}

fn undecodable(error: &dyn std::fmt::Display) -> String {
    format!("cannot be decoded: {error}; {REMEDY}")
}

const REMEDY: &str = "the file is damaged or incomplete: fetch or write it again";

fn expect_magic(path: &Path, file: &mut fs::File) -> Result<()> {
    let io = |error| Error::io(path, "cannot read the file")(error);
    let mut ends = [[0; 4]; 2];
    let bytes = file.metadata().map_err(io)?.len();
    if bytes < 12 {
        return Err(Error::content(
            path,
            "the file",
            format!("found {bytes} bytes, expected a Parquet file, which has at least 12"),
        ));
    }
    file.read_exact(&mut ends[0]).map_err(io)?;
    file.seek(SeekFrom::End(-4)).map_err(io)?;
    file.read_exact(&mut ends[1]).map_err(io)?;
    let [start, end] = &ends;
    let message = if start.starts_with(b"\x1f\x8b") {
        "it is compressed as a whole; unpack it: Parquet has its own compression"
    } else if ends.contains(b"PARE") {
        "its footer is encrypted, which is not read; write it without encryption"
    } else if start != MAGIC {
        "it is no Parquet file: it does not start with `PAR1`"
    } else if end != MAGIC {
        "it does not end with `PAR1`, so it is probably truncated: fetch or write it again"
    } else {
        return Ok(());
    };
    Err(Error::content(path, "the file", message))
}

/// A column's type as Parquet has it.
fn shown(column: &Type) -> String {
    let logical = match (column.get_basic_info().logical_type_ref(), column.get_basic_info().converted_type()) {
        (Some(logical), _) => format!(" ({logical:?})"),
        (None, parquet::basic::ConvertedType::NONE) => String::new(),
        (None, converted) => format!(" ({converted})"),
    };
    if column.is_primitive() { format!("{}{logical}", column.get_physical_type()) } else { format!("a group{logical}") }
}

/// The spans of a file: its row groups, in pieces where they are large. They are not listed ahead, since the file says how
/// many there are.
struct Spans<'f> {
    file: &'f File,
    group: usize,
    skip: usize,
    first_row: u64,
}

impl<'f> Spans<'f> {
    fn of(file: &'f File) -> Self {
        Self { file, group: 0, skip: 0, first_row: 0 }
    }
}

impl Iterator for Spans<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        loop {
            let group = self.file.metadata.metadata().row_groups().get(self.group)?;
            let left = (group.num_rows() as usize).saturating_sub(self.skip);
            if left == 0 {
                (self.group, self.skip) = (self.group + 1, 0);
                continue;
            }
            let rows = left.min(self.file.part_rows(group));
            let span = Span { group: self.group, rows, first_row: self.first_row };
            self.skip += rows;
            self.first_row += rows as u64;
            return Some(span);
        }
    }
}

/// A column that is decoded part by part, as far ahead as was asked for.
struct Feed<'f> {
    decoder: Mutex<Decoder<'f>>,
    /// Parts that were asked for and are not decoded yet. One task at a time decodes them.
    asked: AtomicUsize,
}

/// Where the decoding of a column stands.
struct Decoder<'f> {
    file: &'f File,
    column: &'f Chosen,
    spans: Spans<'f>,
    /// The row group that is being read.
    open: Option<(usize, ParquetRecordBatchReader)>,
    decoded: Sender<Result<Column>>,
}

impl<'f> Feed<'f> {
    fn of(file: &'f File, column: &'f Chosen) -> (Self, Receiver<Result<Column>>) {
        let (decoded, receiver) = channel();
        let decoder = Decoder { file, column, spans: Spans::of(file), open: None, decoded };
        (Self { decoder: Mutex::new(decoder), asked: AtomicUsize::new(0) }, receiver)
    }

    /// Has one more part decoded.
    fn ask<'scope>(&'scope self, scope: &Scope<'scope>) {
        if self.asked.fetch_add(1, Ordering::AcqRel) == 0 {
            scope.spawn(|_| {
                let mut decoder = self.decoder.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    decoder.send_next();
                    if self.asked.fetch_sub(1, Ordering::AcqRel) == 1 {
                        break;
                    }
                }
            });
        }
    }
}

impl Decoder<'_> {
    /// Nothing where the file ends.
    fn send_next(&mut self) {
        if let Some(span) = self.spans.next() {
            let column = self.decode(span);
            // Nobody listens any more once another column was at fault.
            let _ = self.decoded.send(column);
        }
    }

    fn decode(&mut self, span: Span) -> Result<Column> {
        let Self { file, column, open, .. } = self;
        let place = place(span.group, column);
        let wrong = |message: String| Error::content(&file.path, &place, message);
        guarded(&file.path, &place, "Parquet", || {
            let reader = match open.take() {
                Some((group, reader)) if group == span.group => reader,
                _ => file.column_reader(span.group, column)?,
            };
            let (_, reader) = open.insert((span.group, reader));
            let batch = reader.next().transpose().map_err(|error| wrong(undecodable(&error)))?;
            let found = batch.as_ref().map_or(0, |batch| batch.num_rows());
            match batch {
                Some(batch) if found == span.rows => Column::of(&batch.column(0)).map_err(wrong),
                _ => {
                    Err(wrong(format!("found {found} rows from row {} on, expected {}; {REMEDY}", span.first_row + 1, span.rows)))
                }
            }
        })
    }
}

/// The parts of a file that is being read.
pub(super) struct Parts<'a, 'scope> {
    scope: &'a Scope<'scope>,
    spans: Spans<'scope>,
    /// As the columns were chosen.
    feeds: &'scope [Feed<'scope>],
    decoded: Vec<Receiver<Result<Column>>>,
}

impl Parts<'_, '_> {
    pub fn file(&self) -> &File {
        self.spans.file
    }

    /// The next part.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn next(&mut self) -> Result<Option<Part>> {
        let Some(Span { rows, first_row, .. }) = self.spans.next() else { return Ok(None) };
        let mut columns = Vec::with_capacity(self.feeds.len());
        for (feed, decoded) in self.feeds.iter().zip(&self.decoded) {
            let gave_up = || Err(Error::content(self.file().path(), "the file", "the Parquet reader gave up"));
            columns.push(received(decoded).unwrap_or_else(gave_up)?);
            feed.ask(self.scope);
        }
        Ok(Some(Part { first_row, rows, columns }))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;

    const ROWS: i64 = 100;
    const GROUPS: i64 = 50;

    fn written(path: &Path) {
        let numbers = Arc::new(Int64Array::from_iter_values(0..GROUPS * ROWS)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("number", numbers)]).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(ROWS as usize)).build();
        let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    /// Cuts the file short once the first part is there, if `is_cut`: how many parts come, and how it ends.
    fn read(path: &Path, is_cut: bool) -> (i64, Result<()>) {
        let mut file = File::open(&Input::open(path).unwrap()).unwrap();
        file.columns.push(Chosen { name: "number".to_owned(), place: 0 });
        file.read(|mut parts| {
            let mut count = 0;
            loop {
                let part = match parts.next() {
                    Ok(Some(part)) => part,
                    Ok(None) => return (count, Ok(())),
                    Err(error) => return (count, Err(error)),
                };
                let [Column::Integers { values, .. }] = &part.columns[..] else { panic!("a column of integers") };
                assert!(values.values().iter().copied().eq(count * ROWS..(count + 1) * ROWS), "part {count}");
                if is_cut && count == 0 {
                    let file = fs::File::options().write(true).open(path).unwrap();
                    file.set_len(file.metadata().unwrap().len() / 3).unwrap();
                }
                count += 1;
            }
        })
    }

    /// Parts that were decoded ahead are whole; one of a row group that is gone is an error.
    #[test]
    fn a_file_that_is_cut_short_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.parquet");
        written(&path);
        let (count, outcome) = read(&path, false);
        assert!(outcome.is_ok() && count == GROUPS, "{count} parts");
        let (count, outcome) = read(&path, true);
        let shown = outcome.unwrap_err().to_string();
        assert!(shown.contains(&format!("row group {count}, column number: cannot be decoded")), "{shown}");
        assert!(shown.contains("damaged or incomplete") && count < GROUPS / 2, "{count} parts: {shown}");
    }
}
