// What is known of one node or one edge, as a panel.

import * as api from "./api";
import { fill, h, loading } from "./dom";
import { real, title, value, words } from "./format";
import type { ShownEdge, ShownNode } from "./neighbourhood";
import { problem } from "./problem";
import { embeddingRoute, format, nodeRoute } from "./router";
import { badge, degreeText, relationOf } from "./types";

const NEAREST = 10;
/** Letters of a long text that are shown at once. */
const TEXT = 280;

/** A node's attributes, and what else can be asked of it. */
export function nodePanel(
  schema: api.Schema,
  models: readonly api.EmbeddingInfo[],
  node: api.NodeDetails,
  isCentre: boolean,
  expand: () => void,
  signal: AbortSignal,
): HTMLElement {
  const own = models.filter((model) => model.node_type === node.type);
  return h(
    "div",
    {},
    heading(schema, node),
    h(
      "p",
      { class: "actions" },
      !isCentre && h("a", { class: "button primary", href: format(nodeRoute(node.type, node.key)) }, "Centre here"),
      h("button", { type: "button", onclick: expand }, isCentre ? "Add more neighbours" : "Expand"),
    ),
    attributes(schema, node),
    !isCentre && degrees(schema, node),
    ...own.map((model) => nearest(model, node, signal)),
  );
}

/** An edge's ends and attributes. */
export function edgePanel(schema: api.Schema, edge: ShownEdge, source: ShownNode, target: ShownNode): HTMLElement {
  const relation = relationOf(schema, edge.relation);
  const link = (node: ShownNode) =>
    h("div", { class: "end" }, h("a", { href: format(nodeRoute(node.type, node.key)) }, title(node)), badge(schema, node.type));
  const infos = relation?.attributes ?? [];
  return h(
    "div",
    {},
    h("p", { class: "small muted" }, "Relation ", h("code", {}, edge.relation)),
    h(
      "h2",
      { class: "edge" },
      link(source),
      h("div", { class: "verb" }, `${relation?.symmetric ? "↕" : "↓"} ${words(relation?.bare ?? edge.relation)}`),
      link(target),
    ),
    relation?.about ? h("p", { class: "small muted" }, relation.about) : null,
    values(infos, edge.attributes, edge.time),
  );
}

function heading(schema: api.Schema, node: api.NodeName): HTMLElement {
  return h(
    "div",
    {},
    badge(schema, node.type),
    h("h2", {}, title(node)),
    node.label && node.label !== node.key ? h("code", {}, node.key) : null,
  );
}

function attributes(schema: api.Schema, node: api.NodeDetails): HTMLElement {
  return values(schema.node_types.find((type) => type.name === node.type)?.attributes ?? [], node.attributes, null);
}

/** What has a value as a list, and the names of what is missing below it: missing is not 0. */
function values(infos: readonly api.AttributeInfo[], of: api.Values, time: number | null): HTMLElement {
  const about = (name: string) => infos.find((info) => info.name === name);
  const known = Object.entries(of).filter(([, one]) => one !== null);
  const missing = Object.entries(of).filter(([, one]) => one === null);
  const rows = known.map(([name, one]) =>
    h("div", {}, h("dt", { title: about(name)?.about }, words(name)), h("dd", {}, text(one, about(name)))),
  );
  if (time !== null && !("time" in of)) rows.push(h("div", {}, h("dt", {}, "time"), h("dd", {}, String(time))));
  return h(
    "div",
    {},
    rows.length > 0 ? h("dl", { class: "values" }, ...rows) : h("p", { class: "muted small" }, "No attributes are known."),
    missing.length > 0 && h("p", { class: "small muted" }, `Missing: ${missing.map(([name]) => words(name)).join(", ")}`),
  );
}

function text(of: api.Value, info: api.AttributeInfo | undefined): HTMLElement | string {
  if (of !== null && typeof of === "object" && !Array.isArray(of))
    return h("span", { title: "0-based, end not included" }, value(of) ?? "");
  let shown = value(of, info) ?? "";
  // Several names in one text are separated by | (biology.toml).
  if (info?.identifier) shown = shown.split("|").join(", ");
  if (info?.kind === "sequence")
    return h("details", {}, h("summary", {}, `${real(shown.length)} bp`), h("code", { class: "sequence" }, shown));
  if (shown.length <= TEXT) return shown;
  return h("details", {}, h("summary", {}, `${shown.slice(0, TEXT)}…`), shown.slice(TEXT));
}

function degrees(schema: api.Schema, node: api.NodeDetails): HTMLElement {
  const items = node.degrees.map((degree) => {
    const to = nodeRoute(node.type, node.key, { relation: degree.relation, direction: degree.direction });
    return h(
      "li",
      {},
      h("a", { class: "chip", href: format(to) }, degreeText(schema, degree), " ", h("b", {}, real(degree.count))),
    );
  });
  return h(
    "div",
    {},
    h("h3", {}, "Relations"),
    items.length > 0 ? h("ul", { class: "chips" }, ...items) : h("p", { class: "muted small" }, "None."),
  );
}

function nearest(model: api.EmbeddingInfo, node: api.NodeDetails, signal: AbortSignal): HTMLElement {
  const list = h("div", {}, loading("similar nodes"));
  const map = embeddingRoute({ model: model.model, type: node.type, mark: node.key });
  api.nearest(model.model, node.type, node.key, NEAREST, signal).then(
    ({ hits }) =>
      fill(
        list,
        h(
          "ol",
          { class: "nearest" },
          ...hits.map((hit) => {
            const meter = h("meter", { min: 0, max: 1, value: Math.max(hit.similarity, 0), "aria-label": "cosine similarity" });
            return h(
              "li",
              {},
              h("a", { href: format(nodeRoute(node.type, hit.key)) }, title(hit)),
              meter,
              h("span", { class: "number" }, hit.similarity.toFixed(3)),
            );
          }),
        ),
      ),
    (error: unknown) => {
      if (api.isAbort(error)) return;
      const absent = error instanceof api.ApiError && error.code === "unknown_key";
      fill(
        list,
        absent ? h("p", { class: "muted small" }, `The model has not embedded this ${words(node.type)}.`) : problem(error),
      );
    },
  );
  return h(
    "section",
    {},
    h("h3", {}, `Nearest ${words(node.type)} nodes`),
    h(
      "p",
      { class: "small muted" },
      `by ${model.model}, cosine similarity`,
      model.has_layout && h("span", {}, " · ", h("a", { href: format(map) }, "show on the map")),
    ),
    list,
  );
}
