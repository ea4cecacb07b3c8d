// The map of an embedding: one point a node, coloured by an attribute.

import * as api from "./api";
import { colored, type Group, hasValues, type Scale, valueOf } from "./coloring";
import { fill, h, loading, select } from "./dom";
import { count, plural, real, words } from "./format";
import { categoryLegend, scaleLegend } from "./legend";
import { noModel } from "./overview";
import { onScheme, palette } from "./palette";
import { problem } from "./problem";
import { embeddingRoute, type EmbeddingRoute, format, go, nodeRoute, rename } from "./router";

/** Kinds of attributes that a layout can be coloured by. */
const COLORABLE = new Set(["category", "boolean", "number", "count", "time"]);

export async function embeddingView(main: HTMLElement, route: EmbeddingRoute, signal: AbortSignal): Promise<void> {
  if (main.childElementCount === 0) fill(main, h("h1", {}, "Embeddings"), loading("the embeddings"));
  try {
    const [schema, { models }] = await Promise.all([api.schema(), api.embeddings(signal)]);
    if (signal.aborted) return;
    const drawable = models.filter((model) => model.has_layout);
    const first = drawable.find((model) => model.node_type === "cell") ?? drawable[0];
    if (first === undefined) {
      const flat =
        models.length > 0 &&
        h("p", {}, "Its models have no layout for the eye: write them anew with ", h("code", {}, "relata embed"), ".");
      fill(main, h("h1", {}, "Embeddings"), h("div", { class: "card" }, flat || noModel()));
      return;
    }
    if (route.model === null || route.type === null) {
      route = { ...route, model: first.model, type: first.node_type };
      rename(route);
    }
    const { model, type } = route as { model: string; type: string };
    const attributes = (schema.node_types.find((known) => known.name === type)?.attributes ?? []).filter((one) =>
      COLORABLE.has(one.kind),
    );
    const layout = await colorful(model, type, route.color, attributes, signal);
    if (signal.aborted) return;
    document.title = `${model}, ${words(type)} · Relata`;
    await new EmbeddingPage(main, schema, drawable, attributes, layout, route, signal).draw();
  } catch (error) {
    if (api.isAbort(error)) return;
    const follow = (suggestion: string, { code }: api.ApiError) =>
      code === "unknown_attribute"
        ? { ...route, color: suggestion }
        : code === "unknown_model"
          ? embeddingRoute({ ...route, model: suggestion })
          : code === "unknown_type"
            ? embeddingRoute({ ...route, type: suggestion, color: null, mark: null })
            : null;
    fill(
      main,
      h("h1", {}, "Embeddings"),
      problem(error, follow),
      h("p", {}, h("a", { href: format(embeddingRoute()) }, "All embeddings of this store")),
    );
  }
}

/** The layout in the colours that are asked for; without a wish, by the first category that has values. */
async function colorful(
  model: string,
  type: string,
  color: string | null,
  attributes: readonly api.AttributeInfo[],
  signal: AbortSignal,
): Promise<api.Layout> {
  if (color !== null) return api.layout(model, type, color, signal);
  for (const { name, kind } of attributes) {
    if (kind !== "category") continue;
    const layout = await api.layout(model, type, name, signal);
    if (layout.color && hasValues(layout.color)) return layout;
  }
  return api.layout(model, type, null, signal);
}

class EmbeddingPage {
  private readonly stage = h("div", { class: "stage" }, loading("the drawing"));
  private readonly key = h("div", { class: "panel card", "aria-label": "Colours" });
  private readonly hidden = new Set<string | null>();
  private readonly attribute: api.AttributeInfo | undefined;
  private readonly marked: number | null;
  private readonly labels = new Map<string, string>();

  constructor(
    main: HTMLElement,
    private readonly schema: api.Schema,
    models: readonly api.EmbeddingInfo[],
    attributes: readonly api.AttributeInfo[],
    private readonly layout: api.Layout,
    private readonly route: EmbeddingRoute,
    private readonly signal: AbortSignal,
  ) {
    const { model, type } = layout;
    this.attribute = attributes.find((one) => one.name === layout.color?.attribute);
    const at = route.mark === null ? -1 : layout.keys.indexOf(route.mark);
    this.marked = at < 0 ? null : at;
    const options = (names: readonly string[]) => [...new Set(names)].map((value) => ({ value, text: words(value) }));
    const plain = (names: readonly string[]) => [...new Set(names)].map((value) => ({ value, text: value }));
    const types = models.filter((one) => one.model === model).map((one) => one.node_type);
    const has = (to: string) => models.some((one) => one.model === to && one.node_type === type);
    fill(
      main,
      h("h1", {}, `Embedding of ${words(type)} nodes`),
      h(
        "div",
        { class: "toolbar" },
        select("Model", plain(models.map((one) => one.model)), model, (to) =>
          go(
            has(to)
              ? { ...route, model: to }
              : embeddingRoute({ model: to, type: models.find((one) => one.model === to)?.node_type ?? type }),
          ),
        ),
        select("Nodes", options(types), type, (to) => go(embeddingRoute({ model, type: to }))),
        select(
          "Colour",
          [{ value: "", text: "one colour" }, ...attributes.map(({ name }) => ({ value: name, text: words(name) }))],
          layout.color?.attribute ?? "",
          (color) => go({ ...route, color }),
        ),
        h("span", { class: "shown" }, this.summary()),
      ),
      h("div", { class: "split" }, h("div", { class: "card stage-card" }, this.stage), this.key),
    );
  }

  async draw(): Promise<void> {
    const { ScatterDrawing } = await import("./scatter");
    if (this.signal.aborted) return;
    if (this.layout.keys.length === 0) {
      fill(this.stage, h("p", { class: "empty" }, "This embedding has no nodes."));
      return;
    }
    const { keys, type } = this.layout;
    const by = this.attribute ? `, coloured by ${words(this.attribute.name)}` : "";
    const label = `Map of ${plural(keys.length, words(type))}${by}`;
    const events = {
      describe: (row: number) => this.describe(row),
      open: (row: number) => go(nodeRoute(type, keys[row] as string)),
    };
    const drawing = new ScatterDrawing(this.stage, this.layout, this.marked, events, label, this.signal);
    const redraw = (lit?: string | null) => {
      const groups = colored(this.layout.color, keys.length, palette(), this.attribute?.transform === "log1p");
      drawing.draw(groups.groups, this.hidden, lit);
      return groups;
    };
    const show = () => {
      const { groups, scale } = redraw();
      fill(this.key, this.mark(), this.legend(groups, scale, redraw, show));
    };
    show();
    onScheme(show, this.signal);
  }

  private mark(): HTMLElement | null {
    const { mark } = this.route;
    if (mark === null) return null;
    if (this.marked === null) return h("p", { class: "small" }, `${mark} is not in this embedding.`);
    return h("p", { class: "small" }, "◯ marks ", h("a", { href: format(nodeRoute(this.layout.type, mark)) }, mark));
  }

  private legend(
    groups: readonly Group[],
    scale: Scale | null,
    light: (lit?: string | null) => void,
    show: () => void,
  ): HTMLElement {
    if (this.layout.color === null) {
      return h(
        "p",
        { class: "muted small" },
        "Choose an attribute to colour the points by. A click on a point opens its neighbourhood.",
      );
    }
    return h(
      "div",
      {},
      h("h2", {}, words(this.layout.color.attribute), this.attribute?.unit ? ` (${this.attribute.unit})` : null),
      this.attribute?.about ? h("p", { class: "small muted" }, this.attribute.about) : null,
      scale === null ? categoryLegend(groups, this.hidden, { light, change: show }) : scaleLegend(groups, scale),
    );
  }

  private summary(): string {
    const { keys, color } = this.layout;
    if (color === null) return plural(keys.length, "point");
    const known =
      color.kind === "category" ? color.codes.filter((code) => code >= 0) : color.values.filter((value) => value !== null);
    const all = plural(keys.length, "point");
    return known.length === keys.length ? all : `${all}, ${count(keys.length - known.length)} without ${words(color.attribute)}`;
  }

  private describe(row: number): Node[] {
    const { keys, type, color } = this.layout;
    const key = keys[row] as string;
    const name = h("strong", {}, this.labels.get(key) ?? key);
    const lines: Node[] = [name];
    if (color) {
      const value = valueOf(color, row);
      const text = value === null ? "missing" : typeof value === "number" ? real(value) : value;
      lines.push(h("div", {}, `${words(color.attribute)}: ${text}`));
    }
    // The layout has keys alone; where nodes have labels, the one that is pointed at is asked for.
    if (this.schema.node_types.find((known) => known.name === type)?.label && !this.labels.has(key)) {
      api.node(type, key, this.signal).then(
        (node) => {
          this.labels.set(key, node.label ? `${node.label} (${key})` : key);
          name.textContent = this.labels.get(key) as string;
        },
        () => undefined, // The key stays.
      );
    }
    return lines;
  }
}
