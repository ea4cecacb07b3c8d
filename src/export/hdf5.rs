//! HDF5 with AnnData's conventions, written piece by piece.
//!
//! Encodings are those of anndata 0.8 and later: <https://anndata.readthedocs.io/en/stable/fileformat-prose.html>

use std::fmt::Display;
use std::path::Path;

use rust_hdf5::types::{H5Type, HBool, VarLenUnicode};
use rust_hdf5::{DatatypeMessage, H5Dataset, H5File, H5Group};

use crate::{Error, Result};

/// Texts that are handed over at once.
const TEXTS: usize = 1 << 12;

fn io<E: Display>(path: &Path) -> impl FnOnce(E) -> Error {
    move |error| Error::io(path, "cannot write the HDF5 file")(std::io::Error::other(error.to_string()))
}

/// A group of an open file.
pub(super) struct Group<'p> {
    path: &'p Path,
    group: H5Group,
}

/// The file's root, and what closes it.
pub(super) fn create(path: &Path) -> Result<(H5File, Group<'_>)> {
    let file = H5File::create(path).map_err(io(path))?;
    let group = file.root_group();
    Ok((file, Group { path, group }))
}

/// Writes what is not yet on the disk.
pub(super) fn close(file: H5File, path: &Path) -> Result<()> {
    file.close().map_err(io(path))
}

impl<'p> Group<'p> {
    /// A group in this one: `dict`, `dataframe`, `csr_matrix`, ….
    pub fn group(&self, name: &str, encoding: &str, version: &str) -> Result<Self> {
        let group = self.group.create_group(name).map_err(io(self.path))?;
        let group = Self { path: self.path, group };
        group.encode(encoding, version)?;
        Ok(group)
    }

    /// Says what this group is.
    pub fn encode(&self, encoding: &str, version: &str) -> Result<()> {
        self.text_attribute("encoding-type", encoding)?;
        self.text_attribute("encoding-version", version)
    }

    pub fn text_attribute(&self, name: &str, text: &str) -> Result<()> {
        self.group.set_attr_string(name, text).map_err(io(self.path))
    }

    pub fn texts_attribute(&self, name: &str, texts: &[&str]) -> Result<()> {
        self.group.set_attr_string_array(name, texts).map_err(io(self.path))
    }

    pub fn numbers_attribute(&self, name: &str, numbers: &[i64]) -> Result<()> {
        self.group.set_attr_array_numeric(name, numbers).map_err(io(self.path))
    }

    pub fn truth_attribute(&self, name: &str, truth: bool) -> Result<()> {
        self.group.set_attr_numeric(name, &HBool::from(truth)).map_err(io(self.path))
    }

    /// An array whose rows [`Rows::push`] brings.
    pub fn rows<T: H5Type>(&self, name: &str, shape: &[usize]) -> Result<Rows<'p>> {
        let dataset = self.group.new_dataset::<T>().shape(shape).create(name).map_err(io(self.path))?;
        encode(&dataset, "array", self.path)?;
        let width = shape[1..].to_vec();
        Ok(Rows { path: self.path, dataset, width, next: 0 })
    }

    /// An array of one dimension.
    pub fn array<T: H5Type>(&self, name: &str, length: usize, values: impl Iterator<Item = T>) -> Result<()> {
        let mut rows = self.rows::<T>(name, &[length])?;
        let mut values = values.peekable();
        while values.peek().is_some() {
            let piece: Vec<T> = values.by_ref().take(super::anndata::PIECE).collect();
            rows.push(&piece)?;
        }
        Ok(())
    }

    /// An array of texts.
    pub fn texts<'a>(&self, name: &str, texts: impl Iterator<Item = &'a str>) -> Result<()> {
        let dataset = self.group.create_appendable_vlen_dataset(name, TEXTS, None).map_err(io(self.path))?;
        encode(&dataset, "string-array", self.path)?;
        let mut texts = texts.peekable();
        while texts.peek().is_some() {
            let piece: Vec<&str> = texts.by_ref().take(TEXTS).collect();
            self.group.append_vlen_strings(name, &piece).map_err(io(self.path))?;
        }
        Ok(())
    }

    /// One text.
    pub fn text(&self, name: &str, text: &str) -> Result<()> {
        // A text of fixed length has one byte at least; the padding is cut off by readers.
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(bytes.len().max(1), 0);
        let size = u32::try_from(bytes.len()).map_err(io(self.path))?;
        let datatype = DatatypeMessage::FixedString { size, padding: 1, charset: 1 };
        let dataset = self.group.new_dataset::<u8>().scalar().datatype(datatype).create(name).map_err(io(self.path))?;
        dataset.write_raw_bytes(&bytes).map_err(io(self.path))?;
        encode(&dataset, "string", self.path)
    }

    /// Names and each row's code, -1 where it is missing, in the smallest type that holds them.
    pub fn categorical(
        &self,
        name: &str,
        names: &[&str],
        length: usize,
        codes: impl Iterator<Item = Option<usize>>,
    ) -> Result<()> {
        let group = self.group(name, "categorical", "0.2.0")?;
        group.truth_attribute("ordered", false)?;
        group.texts("categories", names.iter().copied())?;
        let codes = codes.map(|code| code.map_or(-1, |code| code as i64));
        match names.len() {
            0..=0x7f => group.array("codes", length, codes.map(|code| code as i8)),
            0x80..=0x7fff => group.array("codes", length, codes.map(|code| code as i16)),
            _ => group.array("codes", length, codes.map(|code| code as i32)),
        }
    }

    /// Values with a mask of those that are missing, or where none is, a plain array.
    pub fn nullable<T: H5Type + Default>(
        &self,
        name: &str,
        encoding: &str,
        length: usize,
        values: impl Iterator<Item = Option<T>> + Clone,
    ) -> Result<()> {
        if values.clone().all(|value| value.is_some()) {
            return self.array(name, length, values.flatten());
        }
        let group = self.group(name, encoding, "0.1.0")?;
        group.array("values", length, values.clone().map(Option::unwrap_or_default))?;
        group.array("mask", length, values.map(|value| HBool::from(value.is_none())))
    }
}

fn encode(dataset: &H5Dataset, encoding: &str, path: &Path) -> Result<()> {
    for (name, text) in [("encoding-type", encoding), ("encoding-version", "0.2.0")] {
        let attribute = dataset.new_attr::<VarLenUnicode>().shape(()).create(name).map_err(io(path))?;
        attribute.write_string(text).map_err(io(path))?;
    }
    Ok(())
}

/// An array that is written from its first row to its last.
pub(super) struct Rows<'p> {
    path: &'p Path,
    dataset: H5Dataset,
    /// Numbers a row, in each further dimension.
    width: Vec<usize>,
    next: usize,
}

impl Rows<'_> {
    /// The next rows, row-major.
    pub fn push<T: H5Type>(&mut self, values: &[T]) -> Result<()> {
        let count = values.len() / self.width.iter().product::<usize>().max(1);
        if count == 0 {
            return Ok(());
        }
        let mut starts = vec![0; self.width.len() + 1];
        starts[0] = self.next;
        let counts: Vec<usize> = std::iter::once(count).chain(self.width.iter().copied()).collect();
        self.dataset.write_slice(&starts, &counts, values).map_err(io(self.path))?;
        self.next += count;
        Ok(())
    }
}
