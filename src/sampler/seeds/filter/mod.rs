//! Which nodes of a type are meant, by what is known of them.

mod condition;
mod parse;
mod scan;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;

use rayon::prelude::*;
use relata_schema::{NodeTypeId, Schema};
use serde::{Deserialize, Serialize};

use crate::snapshot::Snapshot;
use crate::{Error, Result};

/// A query on the attributes of one node type: `biotype = protein_coding and (length > 1000 or symbol is missing)`.
///
/// | what stands on the left | what it can be asked |
/// |---|---|
/// | a number, count or time | `=` `!=` `<` `<=` `>` `>=` and a number (a time is a whole one), `in (1, 2)` |
/// | a category | `=` `!=` and one of its values, `in (…)` |
/// | a boolean | `=` `!=` and `true` or `false` |
/// | a text or sequence; `key`, the node's key | `=` `!=`, `in (…)`; `<` `<=` `>` `>=` in the order of bytes |
/// | of an interval `locus`: `locus.contig` | as a category |
/// | `locus.start`, `locus.end`, `locus.length` | as a number, in base pairs; `[start, end)` from 0 |
/// | `locus.strand` | `=` `!=` and `+`, `-`, or `.` where it is not known |
/// | `degree(relation)`, or `degree(relation, incoming)` | as a number: edges of a node; without a direction, of both |
/// | any attribute | `is missing`, `is known` |
///
/// Conditions are joined by `and`, which binds closer, and `or`, and turned by `not`. A value is a word or stands in `"…"` or
/// `'…'`, where `\` goes before a quote that is meant. An attribute that is called like a word of this language stands in
/// quotes too.
///
/// **A missing value satisfies no comparison**, neither `=` nor `!=`, neither `in` nor `not in`, only `is missing`. That
/// holds under `not`: it turns each comparison into its opposite, so `not (length > 5)` is `length <= 5`.
///
/// ```
/// use relata::sampler::Filter;
/// use relata_schema::Schema;
///
/// let schema = Schema::biology();
/// let gene = schema.node_type("gene")?;
/// let filter = Filter::parse(&schema, gene, "biotype = protein_coding and locus.contig in (chr1, chr2)")?;
/// assert_eq!(filter.node_type(), "gene");
/// let error = Filter::parse(&schema, gene, "length > 5 and biotpye = lncRNA").unwrap_err().to_string();
/// assert!(error.starts_with("filter:1:16: unknown attribute `biotpye` of gene; did you mean `biotype`?"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    node_type: String,
    text: String,
}

/// Nodes that are looked at together: their marks stay in the first cache.
const TOGETHER: usize = 1 << 13;

impl Filter {
    /// # Errors
    /// [`Error::Located`](crate::Error::Located) with the place of what cannot be, what was found there, what is expected and the
    /// nearest known name; [`Error::Setting`](crate::Error::Setting) for a node type that the schema does not have.
    pub fn parse(schema: &Schema, node_type: NodeTypeId, text: &str) -> Result<Self> {
        let Some(owner) = schema.node_types().get(node_type.index()) else {
            let expected = format!("below {}, the number of node types", schema.node_types().len());
            return Err(Error::setting("filter", format!("node type number {}", node_type.0), expected));
        };
        parse::parse(schema, node_type, text)?;
        Ok(Self { node_type: owner.name.clone(), text: text.to_owned() })
    }

    /// The name of the type whose nodes it finds.
    pub fn node_type(&self) -> &str {
        &self.node_type
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The nodes that satisfy it, ascending: all columns that it names are gone through once, in parallel.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse), since the snapshot's schema may be another; and [`Error::Located`](crate::Error::Located)
    /// for a category value, contig or key that does not occur, with the nearest ones that do.
    pub fn nodes(&self, snapshot: &Snapshot) -> Result<Vec<u32>> {
        let node_type = snapshot.schema().node_type(&self.node_type)?;
        let condition = parse::parse(snapshot.schema(), node_type, &self.text)?;
        let test = scan::Scan { snapshot, node_type, text: &self.text }.test(&condition)?;
        let count = snapshot.node_count(node_type) as usize;
        let found: Vec<Vec<u32>> = (0..count.div_ceil(TOGETHER))
            .into_par_iter()
            .map(|part| {
                let range = part * TOGETHER..count.min((part + 1) * TOGETHER);
                let marks = test.marks(range.clone());
                range.zip(marks).filter(|(_, is_one)| *is_one).map(|(node, _)| node as u32).collect()
            })
            .collect();
        Ok(found.concat())
    }
}

/// As it was written.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
