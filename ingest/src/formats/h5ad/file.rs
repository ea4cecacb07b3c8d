use std::path::{Path, PathBuf};

use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, Hdf5File, OpenOptions, SliceInfo, SliceInfoElem};
use relata_schema::{AttributeKind, Value, suggestion};

use super::number::Real;
use crate::{Error, Result};

/// Entries of a sparse matrix that are held in memory at once.
const CHUNK: u64 = 1 << 20;
/// Bytes that one read may ask for: a file that declares more than this in one dataset of strings or codes is refused.
const MOST_BYTES: usize = 4 << 30;

/// An open `.h5ad` file.
pub struct AnnData {
    path: PathBuf,
    file: Hdf5File,
}

/// A data frame of AnnData: `obs` or `var`.
pub struct Frame {
    path: PathBuf,
    place: String,
    group: Group,
    index: Vec<String>,
    columns: Vec<String>,
}

/// A column of a [`Frame`].
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Texts.
    Text(Vec<String>),
    /// Numbers and booleans; NaN is missing.
    Number(Vec<f64>),
    /// Names, and for each row one of them; -1 is missing.
    Category(Vec<String>, Vec<i64>),
}

/// A matrix of cells × genes, read in pieces.
pub struct Matrix {
    path: PathBuf,
    place: String,
    rows: usize,
    columns: usize,
    kind: Kind,
}

enum Kind {
    Dense(Box<Dataset>),
    /// `indptr` over rows, or over columns.
    Sparse {
        by_row: bool,
        pointers: Vec<f64>,
        indices: Box<Dataset>,
        data: Box<Dataset>,
    },
}

impl AnnData {
    /// Opens a file and checks that it has `obs` and `var`.
    ///
    /// # Errors
    /// When it is no HDF5 file, is truncated, or is no AnnData.
    pub fn open(path: &Path) -> Result<Self> {
        guarded(path, "the file", || Self::open_file(path))
    }

    fn open_file(path: &Path) -> Result<Self> {
        let options = OpenOptions::default().with_max_read_bytes(MOST_BYTES);
        let file = Hdf5File::open_with_options(path, options).map_err(|error| {
            let message = format!("cannot be opened as HDF5: {error}; it is damaged or truncated: fetch or write it again");
            Error::content(path, "the file", message)
        })?;
        let anndata = Self { path: path.to_owned(), file };
        let root = anndata.file.root_group().map_err(wrong(path, "/"))?;
        let (groups, datasets) = root.member_names().map_err(wrong(path, "/"))?;
        for needed in ["obs", "var"] {
            if datasets.iter().any(|name| name == needed) {
                let message =
                    "is one compound table, as anndata before 0.7 wrote it; read it with anndata 0.7 or later and write it again";
                return Err(Error::content(path, needed, message));
            }
            if !groups.iter().any(|name| name == needed) {
                let found = [groups, datasets].concat().join(", ");
                let message = format!("is not there; an AnnData file has `obs`, `var` and `X` (found: {found})");
                return Err(Error::content(path, needed, message));
            }
        }
        Ok(anndata)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A data frame.
    ///
    /// # Errors
    /// When it is not there or its index cannot be read.
    pub fn frame(&self, place: &str) -> Result<Frame> {
        guarded(&self.path, place, || self.open_frame(place))
    }

    fn open_frame(&self, place: &str) -> Result<Frame> {
        let group = self.file.group(place).map_err(wrong(&self.path, place))?;
        let (groups, datasets) = group.member_names().map_err(wrong(&self.path, place))?;
        let index_name = text_attribute(&group, "_index").unwrap_or_else(|| "_index".to_owned());
        let index_place = format!("{place}/{index_name}");
        let index = group.dataset(&index_name).map_err(wrong(&self.path, &index_place))?;
        let index = texts(&index).map_err(wrong(&self.path, &index_place))?;
        let mut columns: Vec<String> = [groups, datasets].concat();
        columns.retain(|name| *name != index_name && name != "__categories");
        columns.sort();
        Ok(Frame { path: self.path.clone(), place: place.to_owned(), group, index, columns })
    }

    /// A matrix, `X`, `raw/X` or `layers/NAME`, of which the shape is known from the frames.
    ///
    /// # Errors
    /// When it is not there, has another shape, or is stored in an unknown way.
    pub fn matrix(&self, place: &str, rows: usize, columns: usize) -> Result<Matrix> {
        guarded(&self.path, place, || self.open_matrix(place, rows, columns))
    }

    fn open_matrix(&self, place: &str, rows: usize, columns: usize) -> Result<Matrix> {
        let (path, place) = (self.path.clone(), place.to_owned());
        let shape_error = |found: &[u64]| {
            let found = found.iter().map(u64::to_string).collect::<Vec<_>>().join(" × ");
            Error::content(&self.path, &place, format!("has the shape {found}, expected {rows} × {columns} (obs × var)"))
        };
        if let Ok(dataset) = self.file.dataset(&place) {
            let expected = [rows as u64, columns as u64];
            if dataset.shape() != expected {
                return Err(shape_error(dataset.shape()));
            }
            return Ok(Matrix { path, place, rows, columns, kind: Kind::Dense(Box::new(dataset)) });
        }
        let group = self.file.group(&place).map_err(|_| self.no_matrix(&place))?;
        let encoding = text_attribute(&group, "encoding-type").or_else(|| text_attribute(&group, "h5sparse_format"));
        let by_row = match encoding.as_deref() {
            Some("csr_matrix" | "csr") => true,
            Some("csc_matrix" | "csc") => false,
            other => {
                let message =
                    format!("is encoded as `{}`, expected csr_matrix, csc_matrix or a dense array", other.unwrap_or("nothing"));
                return Err(Error::content(&self.path, &place, message));
            }
        };
        let shape = group.attribute("shape").or_else(|_| group.attribute("h5sparse_shape")).map_err(wrong(&self.path, &place))?;
        let shape: Vec<u64> =
            shape.read_1d::<Real>().map_err(wrong(&self.path, &place))?.iter().map(|number| number.0 as u64).collect();
        if shape != [rows as u64, columns as u64] {
            return Err(shape_error(&shape));
        }
        let part = |name: &str| group.dataset(name).map_err(wrong(&self.path, &format!("{place}/{name}")));
        let pointers = numbers(&part("indptr")?).map_err(wrong(&self.path, &format!("{place}/indptr")))?;
        let (indices, data) = (part("indices")?, part("data")?);
        let lines = if by_row { rows } else { columns };
        let entries = data.shape().first().copied().unwrap_or_default();
        let ascends = pointers.windows(2).all(|pair| pair[0] <= pair[1]);
        let spans = pointers.first() == Some(&0.0) && pointers.last() == Some(&(entries as f64));
        if pointers.len() != lines + 1 || !ascends || !spans || indices.shape() != data.shape() {
            let message = format!(
                "does not fit: expected {} ascending offsets from 0 to the {entries} entries of data and indices",
                lines + 1
            );
            return Err(Error::content(&self.path, format!("{place}/indptr"), message));
        }
        Ok(Matrix {
            path,
            place,
            rows,
            columns,
            kind: Kind::Sparse { by_row, pointers, indices: Box::new(indices), data: Box::new(data) },
        })
    }

    fn no_matrix(&self, place: &str) -> Error {
        let mut known = vec!["X".to_owned()];
        if let Ok(layers) = self.file.group("layers")
            && let Ok((groups, datasets)) = layers.member_names()
        {
            known.extend([groups, datasets].concat().iter().map(|name| format!("layers/{name}")));
        }
        if self.file.group("raw").is_ok() {
            known.push("raw/X".to_owned());
        }
        let near = suggestion(place, known.iter().map(String::as_str));
        Error::content(&self.path, place, format!("is not there{near} (known: {})", known.join(", ")))
    }
}

impl Frame {
    /// The names of its rows.
    pub fn index(&self) -> &[String] {
        &self.index
    }

    /// A column.
    ///
    /// # Errors
    /// When it is not there (the names that are, and the nearest one), or is stored in an unknown way.
    pub fn column(&self, name: &str) -> Result<Column> {
        let place = format!("{}/{name}", self.place);
        if !self.columns.iter().any(|known| known == name) {
            let near = suggestion(name, self.columns.iter().map(String::as_str));
            let known = if self.columns.is_empty() { "none".to_owned() } else { self.columns.join(", ") };
            let message = format!("there is no such column{near} (columns of {}: {known})", self.place);
            return Err(Error::content(&self.path, place, message));
        }
        let read = || match self.group.dataset(name) {
            Ok(dataset) => self.plain(name, &dataset).map_err(wrong(&self.path, &place)),
            Err(_) => self.encoded(name).map_err(wrong(&self.path, &place)),
        };
        let column = guarded(&self.path, &place, read)?;
        let rows = match &column {
            Column::Text(texts) => texts.len(),
            Column::Number(numbers) => numbers.len(),
            Column::Category(_, codes) => codes.len(),
        };
        if rows != self.index.len() {
            let message = format!("has {rows} rows, expected {} as the index", self.index.len());
            return Err(Error::content(&self.path, place, message));
        }
        Ok(column)
    }

    fn plain(&self, name: &str, dataset: &Dataset) -> hdf5_reader::error::Result<Column> {
        if is_text(dataset.dtype()) {
            return Ok(Column::Text(texts(dataset)?));
        }
        let numbers = numbers(dataset)?;
        // anndata 0.7 kept the names of categories beside the columns.
        let names = self.group.group("__categories").and_then(|categories| categories.dataset(name));
        Ok(match names {
            Ok(names) => Column::Category(texts(&names)?, numbers.iter().map(|code| *code as i64).collect()),
            Err(_) => Column::Number(numbers),
        })
    }

    fn encoded(&self, name: &str) -> hdf5_reader::error::Result<Column> {
        let group = self.group.group(name)?;
        if let Ok(codes) = group.dataset("codes") {
            let names = texts(&group.dataset("categories")?)?;
            return Ok(Column::Category(names, numbers(&codes)?.iter().map(|code| *code as i64).collect()));
        }
        let values = group.dataset("values")?;
        let missing = numbers(&group.dataset("mask")?)?;
        if is_text(values.dtype()) {
            let mut found = texts(&values)?;
            for (text, _) in found.iter_mut().zip(&missing).filter(|(_, missing)| **missing != 0.0) {
                text.clear();
            }
            return Ok(Column::Text(found));
        }
        let numbers = numbers(&values)?;
        let masked = numbers.iter().zip(&missing).map(|(number, missing)| if *missing != 0.0 { f64::NAN } else { *number });
        Ok(Column::Number(masked.collect()))
    }
}

impl Column {
    /// A row's value as an attribute of `kind`; `None` where it is missing.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn value(&self, row: usize, kind: AttributeKind) -> Result<Option<Value>, String> {
        match self {
            Self::Text(texts) => Value::parse(texts.get(row).map_or("", String::as_str), kind),
            Self::Category(names, codes) => match codes.get(row).copied().unwrap_or(-1) {
                code if code < 0 => Ok(None),
                code => match names.get(code as usize) {
                    Some(name) => Value::parse(name, kind),
                    None => Err(format!("found code {code}, expected one of {} categories", names.len())),
                },
            },
            Self::Number(numbers) => match numbers.get(row).copied() {
                None => Ok(None),
                Some(number) if number.is_nan() => Ok(None),
                Some(number) => Value::parse(&number.to_string(), kind),
            },
        }
    }
}

impl Matrix {
    /// How many entries it stores, zeros with them.
    pub fn stored(&self) -> u64 {
        match &self.kind {
            Kind::Dense(_) => self.rows as u64 * self.columns as u64,
            Kind::Sparse { pointers, .. } => pointers.last().copied().unwrap_or_default() as u64,
        }
    }

    /// Calls `each` with row, column and value of every stored entry, in pieces of bounded size.
    ///
    /// # Errors
    /// When a piece cannot be read, an index lies outside, or `each` fails.
    pub fn each(&self, mut each: impl FnMut(usize, usize, f64) -> Result<()>) -> Result<()> {
        match &self.kind {
            Kind::Dense(dataset) => {
                let step = (CHUNK / self.columns.max(1) as u64).max(1);
                for start in (0..self.rows as u64).step_by(step as usize) {
                    let end = (start + step).min(self.rows as u64);
                    let selection = SliceInfo {
                        selections: vec![
                            SliceInfoElem::Slice { start, end, step: 1 },
                            SliceInfoElem::Slice { start: 0, end: self.columns as u64, step: 1 },
                        ],
                    };
                    let read = || dataset.read_slice::<Real>(&selection).map_err(wrong(&self.path, &self.place));
                    let block = guarded(&self.path, &self.place, read)?;
                    for (at, value) in block.iter().enumerate() {
                        each(start as usize + at / self.columns, at % self.columns, value.0)?;
                    }
                }
                Ok(())
            }
            Kind::Sparse { by_row, pointers, indices, data } => {
                let entries = pointers.last().copied().unwrap_or_default() as u64;
                let across = if *by_row { self.columns } else { self.rows };
                let mut line = 0;
                for start in (0..entries).step_by(CHUNK as usize) {
                    let end = (start + CHUNK).min(entries);
                    let selection = SliceInfo { selections: vec![SliceInfoElem::Slice { start, end, step: 1 }] };
                    let read = |dataset: &Dataset, part: &str| {
                        let place = format!("{}/{part}", self.place);
                        let read = || dataset.read_slice::<Real>(&selection).map_err(wrong(&self.path, &place));
                        guarded(&self.path, &place, read)
                    };
                    let (places, values) = (read(indices, "indices")?, read(data, "data")?);
                    for (at, (place, value)) in (start..end).zip(places.iter().zip(values.iter())) {
                        while pointers[line + 1] <= at as f64 {
                            line += 1;
                        }
                        let place = place.0 as usize;
                        if place >= across {
                            let message = format!("entry {at} is {place}, expected below {across}");
                            return Err(Error::content(&self.path, format!("{}/indices", self.place), message));
                        }
                        let (row, column) = if *by_row { (line, place) } else { (place, line) };
                        each(row, column, value.0)?;
                    }
                }
                Ok(())
            }
        }
    }
}

fn wrong(path: &Path, place: &str) -> impl FnOnce(hdf5_reader::error::Error) -> Error + use<> {
    let (path, place) = (path.to_owned(), place.to_owned());
    move |error| {
        let remedy = match error {
            hdf5_reader::error::Error::UnexpectedEof { .. } | hdf5_reader::error::Error::OffsetOutOfBounds(_) => {
                "; the file ends before its data does, so it is probably truncated: fetch or write it again"
            }
            _ => "",
        };
        Error::content(&path, place, format!("cannot be read: {error}{remedy}"))
    }
}

fn guarded<T>(path: &Path, place: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    crate::error::guarded(path, place, "HDF5", work)
}

fn is_text(dtype: &Datatype) -> bool {
    matches!(dtype, Datatype::String { .. } | Datatype::VarLen { .. })
}

fn text_attribute(group: &Group, name: &str) -> Option<String> {
    let attribute = group.attribute(name).ok()?;
    attribute.read_string().ok().or_else(|| attribute.read_strings().ok()?.into_iter().next())
}

fn texts(dataset: &Dataset) -> hdf5_reader::error::Result<Vec<String>> {
    if is_text(dataset.dtype()) {
        return dataset.read_strings();
    }
    // Names of rows and categories may be numbers.
    Ok(numbers(dataset)?.iter().map(f64::to_string).collect())
}

fn numbers(dataset: &Dataset) -> hdf5_reader::error::Result<Vec<f64>> {
    Ok(dataset.read_array::<Real>()?.iter().map(|number| number.0).collect())
}
