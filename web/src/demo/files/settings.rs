use std::io::Write;

use anyhow::Result;

use super::Organism;

/// `demo.toml`: the manifest of all files.
pub(super) fn manifest(_organism: &Organism, out: &mut dyn Write) -> Result<()> {
    Ok(out.write_all(include_bytes!("demo.toml"))?)
}

/// `cell-type.toml`: which type a cell is of, to be learnt.
pub(super) fn task(_organism: &Organism, out: &mut dyn Write) -> Result<()> {
    Ok(out.write_all(include_bytes!("cell-type.toml"))?)
}
