use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use relata_schema::located::{LocatedError, from_toml};
use relata_schema::{Schema, SchemaError, suggestion};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use toml::Spanned;

use crate::input::near_names;
use crate::{Error, Result};

/// What becomes of a name that no node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmatched {
    /// The row or edge is left out and counted.
    #[default]
    Skip,
    /// The load stops.
    Fail,
    /// A node with that key is made. It stays where the row's other end then names none, and the edge is left out.
    Make,
}

/// A manifest: which files make up a data set, and how each is read.
#[derive(Debug)]
pub struct Manifest {
    /// What the data set is.
    pub dataset: Dataset,
    /// Its files, in the order in which they are read: what a later one refers to, an earlier one brings.
    pub sources: Vec<Source>,
    /// The built-in schema and what the manifest's own adds, or the manifest's own alone.
    pub schema: Schema,
    file: String,
    text: String,
    folder: PathBuf,
}

/// `[dataset]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Its name; sources are known by it and their own.
    pub name: String,
    /// Of which organism.
    #[serde(default)]
    pub species: Option<String>,
    /// The genome assembly of its coordinates.
    #[serde(default)]
    pub assembly: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    dataset: Dataset,
    schema: Option<Spanned<OwnSchema>>,
    source: Vec<Spanned<Source>>,
}

/// `schema = "own.toml"`, which adds to the built-in schema, or `schema = { path = "own.toml", builtin = false }`, which
/// stands in its stead.
struct OwnSchema {
    path: String,
    builtin: bool,
}

impl<'de> Deserialize<'de> for OwnSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            path: String,
            #[serde(default = "yes")]
            builtin: bool,
        }

        fn yes() -> bool {
            true
        }

        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = OwnSchema;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a schema's file, or a table with `path` and `builtin`")
            }

            fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<OwnSchema, E> {
                Ok(OwnSchema { path: path.to_owned(), builtin: true })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<OwnSchema, M::Error> {
                let Table { path, builtin } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(OwnSchema { path, builtin })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// `[[source]]`: a file and how it is read. Which settings a format knows, `relata-load formats` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The file, from the manifest's folder; `${NAME}` and `${NAME:-default}` stand for variables of the environment.
    pub path: Spanned<String>,
    /// What the source is called; the file's name if omitted.
    pub name: Option<Spanned<String>>,
    /// The format's name; found by content and name if omitted.
    pub format: Option<Spanned<String>>,
    /// What becomes of names that no node has.
    pub unmatched: Option<Unmatched>,

    /// table, parquet, bed, fasta: the node type that a row is.
    pub node: Option<Spanned<String>>,
    /// table, parquet: the column with the node's key.
    pub key: Option<Spanned<ColumnSpec>>,
    /// table, parquet: the columns of attributes.
    pub attributes: Option<Spanned<BTreeMap<String, ColumnSpec>>>,
    /// table, parquet, h5ad: the relation that a row or matrix entry is an edge of.
    pub relation: Option<Spanned<String>>,
    /// table, parquet: the columns of an edge's two ends and attributes.
    pub columns: Option<Spanned<BTreeMap<String, ColumnSpec>>>,
    /// table, parquet: values that all edges or nodes of the source have.
    pub constants: Option<Spanned<BTreeMap<String, toml::Value>>>,
    /// table: the column names of a file that has none.
    pub header: Option<Spanned<Vec<String>>>,
    /// table: `,`, `;` or a tab; found in the first line if omitted.
    pub delimiter: Option<Spanned<String>>,
    /// table: lines that start with it are skipped.
    pub comment: Option<Spanned<String>>,
    /// table: `rows` (the default) or `matrix`.
    pub layout: Option<Spanned<String>>,
    /// table, matrix: only columns whose name starts with it.
    pub columns_with: Option<Spanned<String>>,
    /// table, matrix: the edge attribute that takes an entry's value.
    pub value: Option<Spanned<String>>,

    /// gtf: whether transcripts are read too.
    pub transcripts: Option<Spanned<bool>>,
    /// obo: the node type of each id prefix.
    pub terms: Option<Spanned<BTreeMap<String, String>>>,

    /// h5ad: which matrix: `X`, `raw/X`, `layers/NAME`.
    pub matrix: Option<Spanned<String>>,
    /// h5ad: what of `obs` is read.
    pub cells: Option<Spanned<Cells>>,
    /// h5ad: what of `var` is read.
    pub genes: Option<Spanned<Genes>>,
}

/// `cells = { … }` of an h5ad source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cells {
    /// Attribute of the cell = column of `obs`.
    pub attributes: BTreeMap<String, String>,
    /// Relation = column of `obs` whose values name nodes at its other end, with all that a table's column can have.
    pub links: BTreeMap<String, ColumnSpec>,
    /// Put before each barcode, so that cells of two sources stay apart.
    pub prefix: Option<String>,
}

/// `genes = { … }` of an h5ad source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genes {
    /// The column of `var` that names the gene (or region, or protein); the index if omitted.
    pub column: Option<String>,
    /// The identifier attribute to look in; key and all of them if omitted.
    pub r#match: Option<String>,
    /// Where `column` names no node: another one in its stead, unless its node is that of another row of `var`.
    pub or: Option<Box<ColumnSpec>>,
    /// What becomes of genes that no node has; as the source says if omitted.
    pub unmatched: Option<Unmatched>,
    /// Attribute = column of `var`, set for the genes that this source makes; known ones keep what they have.
    pub attributes: BTreeMap<String, String>,
}

/// Where a value stands in a row: a column's name, or a table that says more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ColumnSpec {
    /// The column.
    pub column: Option<String>,
    /// The column holds several values, separated by this.
    pub split: Option<String>,
    /// Only values that start with this, and without it.
    pub prefix: Option<String>,
    /// Other words for some values: `"CD19+ B" = "CL:0000236"`; what it does not name stays as it is.
    pub map: BTreeMap<String, String>,
    /// Where this column names no node (empty, unknown or ambiguous): another one in its stead.
    pub or: Option<Box<ColumnSpec>>,
    /// The identifier attribute to look in; key and all of them if omitted.
    pub r#match: Option<String>,
    /// What becomes of values that no node has; if omitted, as the source says, and an interval's region is made.
    pub unmatched: Option<Unmatched>,
    /// An interval: the column of its contig.
    pub contig: Option<String>,
    /// An interval: the column of its start.
    pub start: Option<String>,
    /// An interval: the column of its end.
    pub end: Option<String>,
    /// An interval: the column of its strand.
    pub strand: Option<String>,
    /// An interval: 0 (half-open, as in BED; the default) or 1 (the end included, as in GTF).
    pub base: u8,
    /// Texts are what they are: nothing is trimmed, no word (`NA`, `-`, …) stands for missing, and a name is a key as it
    /// stands before it is anything else. For files that a program wrote.
    pub exact: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnTable {
    column: Option<String>,
    split: Option<String>,
    prefix: Option<String>,
    #[serde(default)]
    map: BTreeMap<String, String>,
    or: Option<Box<ColumnSpec>>,
    r#match: Option<String>,
    unmatched: Option<Unmatched>,
    contig: Option<String>,
    start: Option<String>,
    end: Option<String>,
    strand: Option<String>,
    #[serde(default)]
    base: u8,
    #[serde(default)]
    exact: bool,
}

impl<'de> Deserialize<'de> for ColumnSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ColumnSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column's name, or a table with `column`, or with `contig`, `start` and `end`")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<ColumnSpec, E> {
                Ok(ColumnSpec { column: Some(name.to_owned()), ..ColumnSpec::default() })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<ColumnSpec, M::Error> {
                use serde::de::Error;
                let table = ColumnTable::deserialize(MapAccessDeserializer::new(map))?;
                let interval = [&table.contig, &table.start, &table.end];
                let count = interval.iter().filter(|part| part.is_some()).count();
                if table.column.is_some() == (count > 0) || (count != 0 && count != 3) {
                    return Err(M::Error::custom("expected either `column`, or `contig`, `start` and `end`"));
                }
                if count > 0 && (table.split.is_some() || table.prefix.is_some() || !table.map.is_empty() || table.or.is_some()) {
                    return Err(M::Error::custom("`split`, `prefix`, `map` and `or` belong to a `column`, not to an interval"));
                }
                if table.or.as_ref().is_some_and(|other| other.column.is_none()) {
                    return Err(M::Error::custom("`or` names a `column`, not an interval"));
                }
                let acts = table.split.is_some() || table.prefix.is_some() || !table.map.is_empty();
                if table.exact && (acts || count > 0) {
                    return Err(M::Error::custom(
                        "`exact` takes texts as they are: it goes with neither `split`, `prefix` and `map` nor an interval",
                    ));
                }
                if table.base > 1 {
                    return Err(M::Error::custom(format!("`base` is {}, expected 0 or 1", table.base)));
                }
                let ColumnTable { column, split, prefix, map, or, r#match, unmatched, contig, start, end, strand, base, exact } =
                    table;
                Ok(ColumnSpec { column, split, prefix, map, or, r#match, unmatched, contig, start, end, strand, base, exact })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl Source {
    /// The settings that are given, beyond those that every format has, with their places.
    pub fn settings(&self) -> Vec<(&'static str, Range<usize>)> {
        let mut given = Vec::new();
        macro_rules! each {
            ($($name:ident),*) => {
                $(if let Some(setting) = &self.$name { given.push((stringify!($name), setting.span())); })*
            };
        }
        each!(
            node,
            key,
            attributes,
            relation,
            columns,
            constants,
            header,
            delimiter,
            comment,
            layout,
            columns_with,
            value,
            transcripts,
            terms,
            matrix,
            cells,
            genes
        );
        given
    }
}

impl Manifest {
    /// Reads a manifest and the schema that it names.
    ///
    /// # Errors
    /// Every mistake has its file, line and the nearest known name.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Missing { path: path.to_owned(), suggestion: near_names(path) },
            _ => Error::io(path, "cannot read the manifest")(error),
        })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(text, &path.display().to_string(), folder)
    }

    /// As [`read`](Self::read), from a text; paths start from `folder`.
    ///
    /// # Errors
    /// Every mistake has its file, line and the nearest known name.
    pub fn parse(text: String, file: &str, folder: PathBuf) -> Result<Self> {
        let parsed: File = from_toml(&text, file)?;
        let mut schema = Schema::biology();
        if let Some(name) = &parsed.schema {
            let OwnSchema { path, builtin } = name.get_ref();
            if !builtin {
                schema = Schema::default();
            }
            let path = folder.join(path);
            let own = std::fs::read_to_string(&path).map_err(|error| {
                let message = format!("the schema {} cannot be read: {error}", path.display());
                LocatedError::new(&text, file, name.span(), message)
            })?;
            schema = schema.extended_by(&own, &path.display().to_string())?;
        }
        let manifest = Self {
            dataset: parsed.dataset,
            sources: parsed.source.into_iter().map(Spanned::into_inner).collect(),
            schema,
            file: file.to_owned(),
            text,
            folder,
        };
        manifest.check_names()?;
        Ok(manifest)
    }

    fn check_names(&self) -> Result<()> {
        let mut seen: Vec<String> = Vec::new();
        for source in &self.sources {
            let name = self.name_of(source)?;
            if seen.contains(&name) {
                let at = source.name.as_ref().map_or(source.path.span(), Spanned::span);
                return Err(self.error(at, format!("a second source is called `{name}`; give one of them another `name`")));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// An error at a place of the manifest.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>) -> Error {
        LocatedError::new(&self.text, &self.file, span, message).into()
    }

    /// For `map_err`: puts the place around a name that the schema does not have.
    pub fn at<T>(&self, place: &Spanned<T>) -> impl FnOnce(SchemaError) -> Error {
        move |unknown| self.error(place.span(), unknown.to_string())
    }

    /// What a source is called.
    ///
    /// # Errors
    /// When its path names an unset variable.
    pub fn name_of(&self, source: &Source) -> Result<String> {
        match &source.name {
            Some(name) => Ok(name.get_ref().clone()),
            None => {
                let path = self.path_of(source)?;
                Ok(path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned()))
            }
        }
    }

    /// A source's file, variables replaced. It starts from the manifest's folder, or where a variable that is set comes first,
    /// from the working folder.
    ///
    /// # Errors
    /// When a variable is not set and has no default.
    pub fn path_of(&self, source: &Source) -> Result<PathBuf> {
        let variable = |name: &str| std::env::var(name).ok();
        let expanded = expand(source.path.get_ref(), variable).map_err(|message| self.error(source.path.span(), message))?;
        // What the environment says was said where the command runs.
        let is_from_here = first_variable(source.path.get_ref()).and_then(variable).is_some_and(|value| !value.is_empty());
        Ok(if is_from_here { PathBuf::from(expanded) } else { self.folder.join(expanded) })
    }

    /// Refuses settings that do not belong to a source's format.
    ///
    /// # Errors
    /// Names the first such setting and those that the format knows.
    pub fn check_settings(&self, source: &Source, format: &str, known: &[&str]) -> Result<()> {
        for (name, span) in source.settings() {
            if !known.contains(&name) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(
                    self.error(span, format!("`{name}` does not belong to a source of format {format} (its settings: {known})"))
                );
            }
        }
        Ok(())
    }

    /// The error for a name that is none of `known`.
    pub fn unknown(&self, span: Range<usize>, what: &str, found: &str, known: &[&str]) -> Error {
        let near = suggestion(found, known.iter().copied());
        self.error(span, format!("unknown {what} `{found}`{near} (known: {})", known.join(", ")))
    }
}

/// The variable that a path starts with.
fn first_variable(path: &str) -> Option<&str> {
    let (inside, _) = path.strip_prefix("${")?.split_once('}')?;
    Some(inside.split_once(":-").map_or(inside, |(name, _)| name))
}

/// Replaces `${NAME}` and `${NAME:-default}`.
fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, behind) = after.split_once('}').ok_or_else(|| format!("`${{` without `}}` in `{text}`"))?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        expanded.push_str(before);
        match (variable(name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => expanded.push_str(&value),
            (None, Some(default)) => expanded.push_str(default),
            (None, None) => {
                return Err(format!("the variable {name} is not set; set it, or write `${{{name}:-DEFAULT}}`"));
            }
        }
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest> {
        Manifest::parse(text.to_owned(), "m.toml", PathBuf::from("data"))
    }

    #[test]
    fn variables_are_replaced_or_named() {
        let variable = |name: &str| (name == "A").then(|| "x".to_owned());
        assert_eq!(expand("${A}/b/${B:-c}", variable).unwrap(), "x/b/c");
        assert!(expand("${B}", variable).unwrap_err().contains("B is not set"));
        assert!(expand("${A", variable).is_err());
        assert_eq!((first_variable("${B:-c}/d"), first_variable("${A}"), first_variable("a/${B}")), (Some("B"), Some("A"), None));
    }

    #[test]
    fn columns_are_names_or_tables() {
        let manifest = parse(
            "[dataset]\nname = \"d\"\n[[source]]\npath = \"x.tsv\"\ncolumns = { source = \"a\", target = { contig = \"c\", start = \"s\", end = \"e\", base = 1 } }\n",
        )
        .unwrap();
        let columns = manifest.sources[0].columns.as_ref().unwrap().get_ref();
        assert_eq!(columns["source"].column.as_deref(), Some("a"));
        assert_eq!((columns["target"].contig.as_deref(), columns["target"].base), (Some("c"), 1));
        assert_eq!(manifest.path_of(&manifest.sources[0]).unwrap(), PathBuf::from("data/x.tsv"));
    }

    #[test]
    fn mistakes_have_their_line_and_the_nearest_name() {
        let shown = |text: &str| parse(text).unwrap_err().to_string();
        let found = shown("[dataset]\nname = \"d\"\n[[source]]\npath = \"x\"\nrealtion = \"is_a\"\n");
        assert!(
            found.starts_with("m.toml:5:1: unknown field `realtion`") && found.ends_with("did you mean `relation`?"),
            "{found}"
        );
        let found = shown("[dataset]\nname = \"d\"\n[[source]]\npath = \"x\"\nkey = { colum = \"a\" }\n");
        assert!(found.starts_with("m.toml:5:") && found.contains("did you mean `column`?"), "{found}");
        let found = shown("[dataset]\nname = \"d\"\n[[source]]\npath = \"x\"\n[[source]]\npath = \"y/x\"\n");
        assert!(found.starts_with("m.toml:6:8: a second source is called `x`"), "{found}");
        let found = shown("[dataset]\nname = \"d\"\n[[source]]\npath = \"x\"\nunmatched = \"mkae\"\n");
        assert!(found.contains("did you mean `make`?"), "{found}");
    }

    #[test]
    fn a_schema_adds_to_the_built_in_one_or_stands_in_its_stead() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("own.toml"), "[node.user]\n[node.item]\n").unwrap();
        let schema = |setting: &str| {
            let text = format!("schema = {setting}\n[dataset]\nname = \"d\"\n[[source]]\npath = \"x\"\n");
            Manifest::parse(text, "m.toml", folder.path().to_owned()).map(|manifest| manifest.schema)
        };
        let names = |schema: Schema| schema.node_types().iter().map(|known| known.name.clone()).collect::<Vec<_>>();
        let built_in = names(Schema::biology());
        let both = names(schema("\"own.toml\"").unwrap());
        assert_eq!(both, [&built_in[..], &["user".to_owned(), "item".to_owned()]].concat());
        assert_eq!(names(schema("{ path = \"own.toml\" }").unwrap()), both);
        assert_eq!(names(schema("{ path = \"own.toml\", builtin = false }").unwrap()), ["user", "item"]);
        let shown = schema("{ path = \"own.toml\", bultin = false }").unwrap_err().to_string();
        assert!(shown.starts_with("m.toml:1:") && shown.contains("did you mean `builtin`?"), "{shown}");
        let shown = schema("{ path = \"none.toml\", builtin = false }").unwrap_err().to_string();
        assert!(shown.starts_with("m.toml:1:10: the schema"), "{shown}");
    }

    #[test]
    fn a_setting_of_another_format_is_refused() {
        let manifest = parse("[dataset]\nname = \"d\"\n[[source]]\npath = \"x\"\ntranscripts = true\n").unwrap();
        let shown = manifest.check_settings(&manifest.sources[0], "bed", &["node"]).unwrap_err().to_string();
        assert!(shown.starts_with("m.toml:5:15: `transcripts` does not belong to a source of format bed"), "{shown}");
    }
}
