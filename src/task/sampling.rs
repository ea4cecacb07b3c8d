use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::Spanned;

/// `[context]`: what of the graph is shown around a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContextConfig {
    /// Tokens a context holds at most.
    pub tokens: u32,
    /// Relations that the walk may follow, in either direction; all but the hidden ones if omitted.
    pub relations: Option<Vec<Spanned<String>>>,
    /// Steps from the seed.
    pub hops: u32,
    /// Children (rows that refer to a row) taken for each row and relation, at most; all if omitted.
    pub width: Option<u32>,
    /// The same for one relation: `width_of = { expresses = 512 }`.
    pub width_of: BTreeMap<String, u32>,
    /// Nothing later than this, in the unit of the time attributes.
    pub cutoff: Option<i64>,
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self { tokens: 1024, relations: None, hops: 2, width: None, width_of: BTreeMap::new(), cutoff: None }
    }
}
