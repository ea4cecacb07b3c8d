//! OBO 1.4: <https://owlcollab.github.io/oboformat/doc/GO.format.obo-1_4.html>

use std::io::Write;

use anyhow::Result;

use super::Organism;
use crate::demo::organism::kinds::{CELL_TYPES, TISSUES};

/// `cell_types.obo`: kinds of cells, and the tissue that each is typical of.
pub(super) fn cell_types(_organism: &Organism, out: &mut dyn Write) -> Result<()> {
    header(out, "relata-demo-cell-types")?;
    for cell_type in CELL_TYPES {
        writeln!(out, "\n[Term]\nid: {}\nname: {}", cell_type.id, cell_type.name)?;
        writeln!(out, "def: \"A synthetic {} of Relata's demo.\" [relata:demo]", cell_type.name)?;
        writeln!(out, "synonym: \"demo {}\" EXACT []", cell_type.name)?;
        if let Some(parent) = cell_type.parent.map(|parent| CELL_TYPES[parent]) {
            writeln!(out, "is_a: {} ! {}", parent.id, parent.name)?;
        }
        if let Some(tissue) = cell_type.tissue.map(|tissue| TISSUES[tissue]) {
            writeln!(out, "relationship: part_of {} ! {}", tissue.id, tissue.name)?;
        }
    }
    // The file stands on its own: the tissues that it refers to have a stub, as in the Cell Ontology's own files.
    let mut tissues: Vec<usize> = CELL_TYPES.iter().filter_map(|cell_type| cell_type.tissue).collect();
    tissues.sort_unstable();
    tissues.dedup();
    for tissue in tissues.into_iter().map(|tissue| TISSUES[tissue]) {
        writeln!(out, "\n[Term]\nid: {}\nname: {}", tissue.id, tissue.name)?;
    }
    part_of(out)
}

/// `anatomy.obo`: tissues, what they are and what they are part of.
pub(super) fn anatomy(_organism: &Organism, out: &mut dyn Write) -> Result<()> {
    header(out, "relata-demo-anatomy")?;
    for tissue in TISSUES {
        writeln!(out, "\n[Term]\nid: {}\nname: {}", tissue.id, tissue.name)?;
        writeln!(out, "def: \"A synthetic {} of Relata's demo.\" [relata:demo]", tissue.name)?;
        if let Some(kind) = tissue.kind_of.map(|kind| TISSUES[kind]) {
            writeln!(out, "is_a: {} ! {}", kind.id, kind.name)?;
        }
        if let Some(whole) = tissue.part_of.map(|whole| TISSUES[whole]) {
            writeln!(out, "relationship: part_of {} ! {}", whole.id, whole.name)?;
        }
    }
    part_of(out)
}

/// `programmes.obo`: programmes, the narrower ones kinds of the wider ones.
pub(super) fn programmes(organism: &Organism, out: &mut dyn Write) -> Result<()> {
    header(out, "relata-demo-programmes")?;
    for programme in &organism.programmes {
        writeln!(out, "\n[Term]\nid: {}\nname: {}\nnamespace: programme", programme.id, programme.name)?;
        if let Some(parent) = programme.parent.map(|parent| &organism.programmes[parent]) {
            writeln!(out, "is_a: {} ! {}", parent.id, parent.name)?;
        }
    }
    Ok(())
}

fn header(out: &mut dyn Write, ontology: &str) -> Result<()> {
    writeln!(out, "format-version: 1.4\nontology: {ontology}")?;
    writeln!(out, "remark: Synthetic. The ids are none of the real Cell Ontology or UBERON.")?;
    Ok(())
}

fn part_of(out: &mut dyn Write) -> Result<()> {
    writeln!(out, "\n[Typedef]\nid: part_of\nname: part of\nis_transitive: true")?;
    Ok(())
}
