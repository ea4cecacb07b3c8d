// The first page: what the store holds, and where it came from.

import * as api from "./api";
import { fill, h, loading, table } from "./dom";
import { brief, bytes, count, plural, words } from "./format";
import { problem } from "./problem";
import { embeddingRoute, format } from "./router";
import { glyph } from "./types";

export async function overview(main: HTMLElement, signal: AbortSignal): Promise<void> {
  fill(main, h("h1", {}, "Overview"), loading("the store"));
  try {
    const [schema, stats] = await Promise.all([api.schema(), api.stats(signal)]);
    if (signal.aborted) return;
    fill(
      main,
      h("h1", {}, "Overview"),
      tiles(stats),
      h("div", { class: "columns" }, h("div", { class: "stack" }, types(schema, stats), models(stats)), relations(schema, stats)),
      sources(stats),
    );
  } catch (error) {
    if (!api.isAbort(error)) fill(main, h("h1", {}, "Overview"), problem(error));
  }
}

function tiles(stats: api.Stats): HTMLElement {
  const tile = (number: string, what: string, full: string) =>
    h("div", { class: "tile", title: full }, h("dd", {}, number), h("dt", {}, what));
  return h(
    "dl",
    { class: "tiles" },
    tile(brief(stats.nodes), "nodes", plural(stats.nodes, "node")),
    tile(brief(stats.edges), "edges", plural(stats.edges, "edge")),
    tile(bytes(stats.bytes), "snapshot", `${count(stats.bytes)} bytes in snapshot ${stats.snapshot}`),
    tile(count(stats.sources.length), "sources", plural(stats.sources.length, "data source")),
    tile(count(stats.models.length), "embeddings", plural(stats.models.length, "embedding")),
  );
}

function types(schema: api.Schema, stats: api.Stats): HTMLElement {
  const present = schema.node_types
    .map((type) => ({ ...type, nodes: stats.node_types[type.name] ?? 0 }))
    .filter((type) => type.nodes > 0);
  const absent = schema.node_types.filter((type) => !stats.node_types[type.name]).map((type) => words(type.name));
  const rows = present
    .sort((one, other) => other.nodes - one.nodes)
    .map((type) =>
      h(
        "tr",
        {},
        h(
          "th",
          { scope: "row" },
          h("span", { class: "badge plain" }, glyph(schema, type.name), words(type.name)),
          about(type.about),
        ),
        h("td", { class: "number" }, count(type.nodes)),
      ),
    );
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Nodes"),
    table(["Type", "#Nodes"], rows, "Nodes of each type"),
    absent.length > 0 && h("p", { class: "small muted" }, `In the schema, without nodes: ${absent.join(", ")}.`),
  );
}

function relations(schema: api.Schema, stats: api.Stats): HTMLElement {
  const present = schema.relations
    .map((relation) => ({ ...relation, edges: stats.relations[relation.name] ?? 0 }))
    .filter((relation) => relation.edges > 0)
    .sort((one, other) => other.edges - one.edges);
  const absent = schema.relations.length - present.length;
  const rows = present.map((relation) =>
    h(
      "tr",
      { title: relation.name },
      h(
        "th",
        { scope: "row" },
        h(
          "span",
          { class: "triple" },
          glyph(schema, relation.source),
          words(relation.source),
          h("b", {}, ` ${words(relation.bare)} `),
          glyph(schema, relation.target),
          words(relation.target),
        ),
        about(relation.about),
      ),
      h("td", { class: "optional" }, relation.attributes.map((attribute) => words(attribute.name)).join(", ") || "–"),
      h("td", { class: "number" }, count(relation.edges)),
    ),
  );
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Relations"),
    table(["Relation", "?Carries", "#Edges"], rows, "Edges of each relation"),
    absent > 0 && h("p", { class: "small muted" }, `In the schema, without edges: ${plural(absent, "relation")}.`),
  );
}

function models(stats: api.Stats): HTMLElement {
  const cards = stats.models.map((info) =>
    h(
      "li",
      {},
      h(
        "a",
        { class: "model", href: format(embeddingRoute({ model: info.model, type: info.node_type })) },
        h("strong", {}, info.model),
        h("span", {}, `${plural(info.count, words(info.node_type))}, ${plural(info.dimension, "dimension")}`),
        h(
          "span",
          { class: "small muted" },
          info.snapshot === stats.snapshot ? `run ${info.run}` : `run ${info.run}, of an earlier snapshot`,
        ),
      ),
    ),
  );
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Embeddings"),
    cards.length > 0 ? h("ul", { class: "models" }, ...cards) : noModel(),
  );
}

/** Says how to come by an embedding. */
export function noModel(): HTMLElement {
  return h(
    "div",
    { class: "empty" },
    h("p", {}, "This store has no embeddings yet. Train a model and embed its nodes, then start the server again:"),
    h("pre", {}, "relata train TASK.toml --store S --out RUN\nrelata embed RUN --store S"),
  );
}

function sources(stats: api.Stats): HTMLElement {
  const rows = stats.sources.map(({ tally, ...source }) => {
    const dropped = tally.read - tally.kept;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, source.name, h("div", { class: "small muted" }, source.dataset)),
      h(
        "td",
        { title: `sha256 ${source.sha256}` },
        h("code", { class: "path" }, source.path),
        h("div", { class: "small muted" }, `${source.format}, ${bytes(source.bytes)}`),
      ),
      h("td", { class: "number" }, count(tally.read)),
      h("td", { class: "number" }, count(tally.kept)),
      h("td", { class: "number" }, count(Math.max(dropped, 0))),
      h("td", { class: "number" }, count(tally.nodes)),
      h("td", { class: "number" }, count(tally.edges)),
      h("td", {}, reasons(tally.drops)),
    );
  });
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Data sources"),
    rows.length > 0
      ? table(
          ["Source", "File", "#Rows read", "#Kept", "#Dropped", "#Nodes", "#Edges", "Why dropped or changed"],
          rows,
          "Data sources with rows read, kept and dropped",
        )
      : h(
          "p",
          { class: "empty" },
          "No source has been loaded. ",
          h("code", {}, "relata-load run MANIFEST.toml --store S"),
          " loads some.",
        ),
  );
}

function reasons(drops: readonly api.Drop[]): HTMLElement | string {
  if (drops.length === 0) return "–";
  return h(
    "ul",
    { class: "reasons" },
    ...drops.map((drop) =>
      h(
        "li",
        {},
        drop.examples.length === 0
          ? `${drop.reason}: ${count(drop.count)}`
          : h("details", {}, h("summary", {}, `${drop.reason}: ${count(drop.count)}`), h("code", {}, drop.examples.join(", "))),
      ),
    ),
  );
}

function about(text: string | null): HTMLElement | null {
  return text ? h("div", { class: "small muted about" }, text) : null;
}
