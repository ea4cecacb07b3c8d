//! What an organism has whatever its seed: kinds of cells, tissues, donors, programmes.

/// A term of the demo's cell ontology. The ids are none of the real Cell Ontology.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellType {
    /// `CL:9000004`
    pub id: &'static str,
    /// `helper T cell`
    pub name: &'static str,
    /// What it is a kind of: its place in [`CELL_TYPES`]; the root has none.
    pub parent: Option<usize>,
    /// The tissue that it is typical of: its place in [`TISSUES`].
    pub tissue: Option<usize>,
    /// Share of the cells that are of this type; 0 for those that only group others.
    pub share: f64,
    /// Where cells of the type are found: a weight for each of [`SAMPLED`].
    pub places: [f64; 3],
}

/// A term of the demo's anatomy. The ids are none of the real UBERON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tissue {
    /// `UBERON:9000002`
    pub id: &'static str,
    /// `blood`
    pub name: &'static str,
    /// `is_a`: its place in [`TISSUES`].
    pub kind_of: Option<usize>,
    /// `part_of`: its place in [`TISSUES`].
    pub part_of: Option<usize>,
}

/// Who the cells come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Donor {
    /// `donor_1`
    pub id: &'static str,
    /// As the schema's category has it.
    pub sex: &'static str,
    /// In years.
    pub age: u32,
    /// Share of the cells.
    pub share: f64,
}

/// What switches a programme on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trigger {
    /// Every cell of this type or a kind of it: its place in [`CELL_TYPES`].
    CellType(usize),
    /// A share of all cells, whatever their type.
    State(f64),
}

const fn group(id: &'static str, name: &'static str, parent: Option<usize>) -> CellType {
    CellType { id, name, parent, tissue: None, share: 0.0, places: [0.0; 3] }
}

/// Parents stand before their children.
pub const CELL_TYPES: [CellType; 11] = [
    group("CL:9000000", "cell", None),
    group("CL:9000001", "immune cell", Some(0)),
    group("CL:9000002", "lymphocyte", Some(1)),
    group("CL:9000003", "T cell", Some(2)),
    CellType { share: 0.25, tissue: Some(1), places: [0.50, 0.20, 0.30], ..group("CL:9000004", "helper T cell", Some(3)) },
    CellType { share: 0.19, tissue: Some(1), places: [0.45, 0.20, 0.35], ..group("CL:9000005", "cytotoxic T cell", Some(3)) },
    CellType { share: 0.17, tissue: Some(1), places: [0.55, 0.10, 0.35], ..group("CL:9000006", "B cell", Some(2)) },
    CellType { share: 0.16, tissue: Some(1), places: [0.55, 0.20, 0.25], ..group("CL:9000007", "monocyte", Some(1)) },
    group("CL:9000008", "barrier cell", Some(0)),
    CellType { share: 0.13, tissue: Some(2), places: [0.04, 0.48, 0.48], ..group("CL:9000009", "epithelial cell", Some(8)) },
    CellType { share: 0.10, tissue: Some(2), places: [0.04, 0.56, 0.40], ..group("CL:9000010", "fibroblast", Some(8)) },
];

/// Wholes and kinds stand before what refers to them.
pub const TISSUES: [Tissue; 5] = [
    Tissue { id: "UBERON:9000000", name: "body", kind_of: None, part_of: None },
    Tissue { id: "UBERON:9000001", name: "blood", kind_of: None, part_of: Some(0) },
    Tissue { id: "UBERON:9000002", name: "barrier organ", kind_of: None, part_of: Some(0) },
    Tissue { id: "UBERON:9000003", name: "skin", kind_of: Some(2), part_of: Some(0) },
    Tissue { id: "UBERON:9000004", name: "gut", kind_of: Some(2), part_of: Some(0) },
];

/// The tissues that cells were taken from: places in [`TISSUES`].
pub const SAMPLED: [usize; 3] = [1, 3, 4];

/// Two donors, whose cells differ beyond their type.
pub const DONORS: [Donor; 2] =
    [Donor { id: "donor_1", sex: "female", age: 34, share: 0.6 }, Donor { id: "donor_2", sex: "male", age: 57, share: 0.4 }];

/// Programmes: id, name and what switches them on. Siblings share those of their ancestors.
pub const PROGRAMMES: [(&str, &str, Trigger); 12] = [
    ("PROGRAMME:01", "immune programme", Trigger::CellType(1)),
    ("PROGRAMME:02", "lymphocyte programme", Trigger::CellType(2)),
    ("PROGRAMME:03", "T cell programme", Trigger::CellType(3)),
    ("PROGRAMME:04", "helper programme", Trigger::CellType(4)),
    ("PROGRAMME:05", "cytotoxic programme", Trigger::CellType(5)),
    ("PROGRAMME:06", "B cell programme", Trigger::CellType(6)),
    ("PROGRAMME:07", "monocyte programme", Trigger::CellType(7)),
    ("PROGRAMME:08", "barrier programme", Trigger::CellType(8)),
    ("PROGRAMME:09", "epithelial programme", Trigger::CellType(9)),
    ("PROGRAMME:10", "fibroblast programme", Trigger::CellType(10)),
    ("PROGRAMME:11", "cell cycle", Trigger::State(0.2)),
    ("PROGRAMME:12", "stress response", Trigger::State(0.35)),
];

/// Whether a cell type is another or a kind of it: places in [`CELL_TYPES`].
pub fn is_kind_of(cell_type: usize, ancestor: usize) -> bool {
    let mut at = Some(cell_type);
    while let Some(place) = at {
        if place == ancestor {
            return true;
        }
        at = CELL_TYPES[place].parent;
    }
    false
}

/// The programme of the nearest ancestor of a programme's cell type: places in [`PROGRAMMES`].
pub fn wider(programme: usize) -> Option<usize> {
    let Trigger::CellType(cell_type) = PROGRAMMES[programme].2 else { return None };
    let mut at = CELL_TYPES[cell_type].parent;
    while let Some(ancestor) = at {
        let found = PROGRAMMES.iter().position(|(_, _, trigger)| *trigger == Trigger::CellType(ancestor));
        if found.is_some() {
            return found;
        }
        at = CELL_TYPES[ancestor].parent;
    }
    None
}
