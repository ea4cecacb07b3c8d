//! AnnData as anndata 0.8 and later write it.
//!
//! <https://anndata.readthedocs.io/en/stable/fileformat-prose.html>

use std::io::Write;

use anyhow::Result;
use hdf5_writer::{AttributeBuilder, ByteOrder, DatasetBuilder, Datatype, EnumMember, H5WriteElement, Hdf5Builder, WriteOptions};

use super::Organism;
use crate::demo::organism::kinds::{CELL_TYPES, DONORS, TISSUES};

/// `cells.h5ad`: counts in X (CSR), labels in obs, genes in var.
pub(super) fn cells(organism: &Organism, out: &mut dyn Write) -> Result<()> {
    let mut file = AnnData::default();
    file.encoding(None, "anndata", "0.1.0");
    for empty in ["layers", "obsm", "obsp", "uns", "varm", "varp"] {
        file.encoding(Some(empty), "dict", "0.1.0");
    }
    file.matrix(organism)?;

    file.frame("obs", &["celltype", "celltype_id", "donor", "tissue_id"])?;
    let cells = &organism.cells;
    file.texts("obs/_index", &cells.iter().map(|cell| cell.barcode.as_str()).collect::<Vec<_>>())?;
    let type_of = |label: fn(usize) -> &'static str| -> Vec<Option<&'static str>> {
        cells.iter().map(|cell| cell.is_labelled.then(|| label(cell.cell_type))).collect()
    };
    file.categorical("obs/celltype", &type_of(|place| CELL_TYPES[place].name))?;
    file.categorical("obs/celltype_id", &type_of(|place| CELL_TYPES[place].id))?;
    file.categorical("obs/donor", &cells.iter().map(|cell| Some(DONORS[cell.donor].id)).collect::<Vec<_>>())?;
    file.categorical("obs/tissue_id", &cells.iter().map(|cell| Some(TISSUES[cell.tissue].id)).collect::<Vec<_>>())?;

    file.frame("var", &["symbol"])?;
    file.texts("var/_index", &organism.genes.iter().map(|gene| gene.id.as_str()).collect::<Vec<_>>())?;
    file.texts("var/symbol", &organism.genes.iter().map(|gene| gene.symbol.as_str()).collect::<Vec<_>>())?;

    let bytes = file.builder.into_plan()?.encode(WriteOptions::default())?;
    Ok(out.write_all(&bytes)?)
}

/// An HDF5 file with AnnData's conventions.
#[derive(Default)]
struct AnnData {
    builder: Hdf5Builder,
}

impl AnnData {
    fn attribute(&mut self, group: Option<&str>, attribute: AttributeBuilder) {
        let builder = std::mem::take(&mut self.builder);
        self.builder = match group {
            Some(group) => builder.group_attribute(group, attribute),
            None => builder.attribute(attribute),
        };
    }

    fn dataset(&mut self, dataset: DatasetBuilder) {
        self.builder = std::mem::take(&mut self.builder).dataset(dataset);
    }

    /// What a group is; of the file itself without a group.
    fn encoding(&mut self, group: Option<&str>, kind: &str, version: &str) {
        for attribute in encoding(kind, version) {
            self.attribute(group, attribute);
        }
    }

    /// A data frame, whose index and columns follow.
    fn frame(&mut self, group: &str, columns: &[&str]) -> Result<()> {
        self.encoding(Some(group), "dataframe", "0.2.0");
        self.attribute(Some(group), AttributeBuilder::fixed_string("_index", "_index"));
        self.attribute(Some(group), AttributeBuilder::vlen_strings("column-order", columns)?);
        Ok(())
    }

    fn texts(&mut self, place: &str, texts: &[&str]) -> Result<()> {
        let dataset = DatasetBuilder::vlen_string_data(place, vec![texts.len() as u64], texts)?;
        self.dataset(encoded(dataset, "string-array"));
        Ok(())
    }

    fn numbers<T: H5WriteElement>(&mut self, place: &str, numbers: &[T]) -> Result<()> {
        let dataset = DatasetBuilder::typed_data(place, vec![numbers.len() as u64], numbers)?;
        self.dataset(encoded(dataset, "array"));
        Ok(())
    }

    /// Categories in byte order, as pandas has them; -1 stands for a missing one.
    fn categorical(&mut self, place: &str, values: &[Option<&str>]) -> Result<()> {
        let mut categories: Vec<&str> = values.iter().flatten().copied().collect();
        categories.sort_unstable();
        categories.dedup();
        let code = |value: &Option<&str>| -> Result<i8> {
            let place = value.and_then(|value| categories.binary_search(&value).ok());
            Ok(place.map_or(Ok(-1), i8::try_from)?)
        };
        let codes = values.iter().map(code).collect::<Result<Vec<i8>>>()?;
        self.encoding(Some(place), "categorical", "0.2.0");
        self.attribute(Some(place), boolean("ordered", false));
        self.texts(&format!("{place}/categories"), &categories)?;
        self.numbers(&format!("{place}/codes"), &codes)
    }

    /// X: cells × genes in compressed sparse rows, whole numbers as 32-bit floats, as most files have them.
    fn matrix(&mut self, organism: &Organism) -> Result<()> {
        let (mut pointers, mut indices, mut data) = (vec![0], Vec::<i32>::new(), Vec::<f32>::new());
        for cell in &organism.cells {
            for &(gene, count) in &cell.counts {
                indices.push(i32::try_from(gene)?);
                data.push(count as f32);
            }
            pointers.push(i32::try_from(data.len())?);
        }
        self.encoding(Some("X"), "csr_matrix", "0.1.0");
        let shape = [organism.cells.len() as i64, organism.genes.len() as i64];
        self.attribute(Some("X"), AttributeBuilder::vector("shape", &shape)?);
        self.numbers("X/indptr", &pointers)?;
        self.numbers("X/indices", &indices)?;
        self.numbers("X/data", &data)
    }
}

fn encoded(dataset: DatasetBuilder, kind: &str) -> DatasetBuilder {
    encoding(kind, "0.2.0").into_iter().fold(dataset, DatasetBuilder::attribute)
}

fn encoding(kind: &str, version: &str) -> [AttributeBuilder; 2] {
    [AttributeBuilder::fixed_string("encoding-type", kind), AttributeBuilder::fixed_string("encoding-version", version)]
}

/// A truth value as h5py writes it: an enumeration of bytes.
fn boolean(name: &str, truth: bool) -> AttributeBuilder {
    let base = Datatype::FixedPoint { size: 1, signed: true, byte_order: ByteOrder::LittleEndian };
    let member = |name: &str, value: u8| EnumMember { name: name.to_owned(), value: vec![value] };
    let members = vec![member("FALSE", 0), member("TRUE", 1)];
    AttributeBuilder::new(name, Datatype::Enum { base: Box::new(base), members }, Vec::new(), vec![u8::from(truth)])
}
