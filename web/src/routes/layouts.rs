use axum::extract::State;
use relata::embedding::EmbeddingTable;
use relata::snapshot::{NodeColumn, Snapshot};
use relata_schema::nearest;
use serde::Serialize;

use crate::request::{Parameters, Segments};
use crate::state::Answer;
use crate::{ApiError, AppState, ErrorCode};

#[derive(Serialize)]
struct LayoutAnswer<'t> {
    model: &'t str,
    #[serde(rename = "type")]
    node_type: &'t str,
    keys: &'t [String],
    x: Vec<f32>,
    y: Vec<f32>,
    color: Option<Color<'t>>,
}

/// What each point is coloured by.
#[derive(Serialize)]
struct Color<'t> {
    attribute: &'t str,
    #[serde(flatten)]
    values: Colors<'t>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Colors<'t> {
    Category {
        names: Vec<&'t str>,
        /// Places in `names`; -1 is missing.
        codes: Vec<i64>,
    },
    Number {
        values: Vec<Option<f64>>,
    },
}

/// `GET /v1/layouts/{model}/{type}?color=ATTRIBUTE`
pub async fn layout(
    State(state): State<AppState>,
    Segments((model, node_type)): Segments<(String, String)>,
    parameters: Parameters,
) -> Result<Answer, ApiError> {
    parameters.only(&["color"])?;
    let color = parameters.text("color")?.filter(|name| !name.is_empty()).map(str::to_owned);
    state
        .answer(move |state| {
            let view = state.view();
            let table = state.tables().get(&model, &node_type)?;
            if !table.info.has_layout {
                let message = format!("model `{model}` has vectors of `{node_type}`, but no layout; `relata embed` writes both");
                return Err(ApiError::absent("model", message));
            }
            let color = color.as_deref().map(|name| colors(&view.snapshot, &table, name)).transpose()?;
            Answer::of(&LayoutAnswer {
                model: &table.info.model,
                node_type: &table.info.node_type,
                keys: &table.keys,
                x: table.layout.iter().step_by(2).copied().collect(),
                y: table.layout.iter().skip(1).step_by(2).copied().collect(),
                color,
            })
        })
        .await
}

fn colors<'t>(snapshot: &'t Snapshot, table: &'t EmbeddingTable, name: &str) -> Result<Color<'t>, ApiError> {
    let schema = snapshot.schema();
    let node_type = crate::lookup::node_type(schema, "type", &table.info.node_type)?;
    let attribute = schema.node_attribute(node_type, name).map_err(|error| {
        let known = schema.node(node_type).attributes.iter().map(|known| known.name.as_str());
        ApiError::bad_query("color", error.to_string()).coded(ErrorCode::UnknownAttribute).suggesting(nearest(name, known))
    })?;
    let declared = &schema.node(node_type).attributes[attribute.index()];
    let nodes: Vec<Option<usize>> =
        table.keys.iter().map(|key| snapshot.find(node_type, key).map(|node| node as usize)).collect();
    let values = match snapshot.column(node_type, attribute) {
        NodeColumn::Category(codes) => Colors::Category {
            names: snapshot.categories(node_type, attribute),
            codes: each(&nodes, codes).map(|code| code.filter(|&code| code != u32::MAX).map_or(-1, i64::from)).collect(),
        },
        NodeColumn::Boolean(truths) => Colors::Category {
            names: vec!["false", "true"],
            codes: each(&nodes, truths).map(|truth| truth.filter(|&truth| truth <= 1).map_or(-1, i64::from)).collect(),
        },
        NodeColumn::Number(numbers) => {
            Colors::Number { values: each(&nodes, numbers).map(|number| number.filter(|number| !number.is_nan())).collect() }
        }
        NodeColumn::Time(times) => Colors::Number {
            values: each(&nodes, times).map(|time| time.filter(|&time| time != i64::MIN).map(|time| time as f64)).collect(),
        },
        NodeColumn::Vector { .. } | NodeColumn::Text | NodeColumn::Interval => {
            let message = format!(
                "color: found the {} `{}.{name}`, expected a category, boolean, number, count or time",
                declared.kind, table.info.node_type
            );
            return Err(ApiError::bad_query("color", message));
        }
    };
    Ok(Color { attribute: &declared.name, values })
}

/// A column's value for each of the nodes; a column that is missing throughout is empty.
fn each<'c, T: Copy>(nodes: &'c [Option<usize>], column: &'c [T]) -> impl Iterator<Item = Option<T>> + 'c {
    nodes.iter().map(|node| node.and_then(|node| column.get(node).copied()))
}
