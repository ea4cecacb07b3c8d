use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::bits;

/// Stands for a row that is not in the context.
pub const NO_ROW: u32 = u32::MAX;

/// What of a token is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Its value.
    Shown,
    /// That it has none.
    Missing,
    /// Nothing: a model is to say its value.
    Masked,
}

/// One attribute of one row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its column, by number in the vocabulary.
    pub column: u16,
    /// What of it is known.
    pub state: State,
    /// Whose it is: a node's place in the vocabulary, 0 for none.
    pub identity: u32,
    /// Its value: a number, standardised; also of a masked token, for the loss.
    #[serde(with = "bits::number")]
    pub number: f32,
    /// Its value: a category's place in its column, or the place in [`Context::vectors`] divided by the column's
    /// dimension; also of a masked token. `u32::MAX` for neither.
    pub code: u32,
}

/// A node or an edge of a context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its tokens.
    pub tokens: Range<u32>,
    /// The rows that it refers to: the two ends of an edge ([`NO_ROW`] where an end is known by identity alone).
    pub parents: [u32; 2],
    /// For an edge of a `contains` relation: the row of its upper end.
    pub upper: u32,
    /// For an edge of a `contains` relation: the row of its lower end.
    pub lower: u32,
}

impl Row {
    /// Whether it is an edge's.
    pub fn is_edge(&self) -> bool {
        self.parents != [NO_ROW; 2]
    }
}

/// A subgraph as a model sees it: tokens in the order of their rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Nodes and edges.
    pub rows: Vec<Row>,
    /// All tokens.
    pub tokens: Vec<Token>,
    /// The row of each token.
    pub row_of: Vec<u32>,
    /// The values of vector tokens, by column: `vectors[column]` is row-major.
    #[serde(with = "bits::by_column")]
    pub vectors: Vec<(u16, Vec<f32>)>,
    /// The seed's target, masked.
    pub target: u32,
}

impl Context {
    /// Adds a token of the row that is being filled.
    pub fn push_token(&mut self, row: u32, token: Token) {
        self.tokens.push(token);
        self.row_of.push(row);
    }

    /// Keeps a vector and says its place among those of its column.
    pub fn push_vector(&mut self, column: u16, vector: &[f32]) -> u32 {
        let at = match self.vectors.iter().position(|(known, _)| *known == column) {
            Some(at) => at,
            None => {
                self.vectors.push((column, Vec::new()));
                self.vectors.len() - 1
            }
        };
        let own = &mut self.vectors[at].1;
        own.extend_from_slice(vector);
        (own.len() / vector.len().max(1)) as u32 - 1
    }
}
