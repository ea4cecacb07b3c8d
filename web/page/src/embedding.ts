// The map of an embedding: one point a node, coloured by an attribute.

import * as api from "./api";
import { type Colored, colored, hasValues, valueOf } from "./coloring";
import { fill, h, loading, select, svg } from "./dom";
import { count, plural, real, words } from "./format";
import { noModel } from "./overview";
import { onScheme, palette, type Symbol } from "./palette";
import { problem } from "./problem";
import { embeddingRoute, type EmbeddingRoute, format, go, nodeRoute } from "./router";

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
      const flat = models.length > 0 && h("p", {}, "Its models have no layout for the eye: write them anew with ", h("code", {}, "relata embed"), ".");
      fill(main, h("h1", {}, "Embeddings"), h("div", { class: "card" }, flat || noModel()));
      return;
    }
    if (route.model === null || route.type === null) {
      history.replaceState(null, "", format({ ...route, model: first.model, type: first.node_type }));
      route = { ...route, model: first.model, type: first.node_type };
    }
    const { model, type } = route as { model: string; type: string };
    const attributes = (schema.node_types.find((known) => known.name === type)?.attributes ?? []).filter((one) => COLORABLE.has(one.kind));
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
    fill(main, h("h1", {}, "Embeddings"), problem(error, follow), h("p", {}, h("a", { href: format(embeddingRoute()) }, "All embeddings of this store")));
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
          go(has(to) ? { ...route, model: to } : embeddingRoute({ model: to, type: models.find((one) => one.model === to)?.node_type ?? type })),
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
    const label = `Map of ${plural(keys.length, words(type))}${this.attribute ? `, coloured by ${words(this.attribute.name)}` : ""}`;
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
    const legend = () => fill(this.key, ...this.legend(redraw(), redraw, legend));
    legend();
    onScheme(legend, this.signal);
  }

  private summary(): string {
    const { keys, color } = this.layout;
    if (color === null) return plural(keys.length, "point");
    const known = color.kind === "category" ? color.codes.filter((code) => code >= 0) : color.values.filter((value) => value !== null);
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

  private legend({ groups, scale }: Colored, redraw: (lit?: string | null) => void, again: () => void): Node[] {
    const { color } = this.layout;
    const { mark } = this.route;
    const marked =
      mark === null
        ? []
        : [h("p", { class: "small" }, this.marked === null ? `${mark} is not in this embedding.` : h("span", {}, "◯ marks ", h("a", { href: format(nodeRoute(this.layout.type, mark)) }, mark)))];
    if (color === null) return [...marked, h("p", { class: "muted small" }, "Choose an attribute to colour the points by. A click on a point opens its neighbourhood.")];
    const heading = h("h2", {}, words(color.attribute), this.attribute?.unit ? ` (${this.attribute.unit})` : "");
    const about = this.attribute?.about ? h("p", { class: "small muted" }, this.attribute.about) : "";
    if (scale !== null) {
      const missing = groups.find((group) => group.name === null);
      const bar = svg("svg", { class: "scale", viewBox: "0 0 240 14", preserveAspectRatio: "none", role: "img", "aria-label": `from ${real(scale.low)} to ${real(scale.high)}` });
      const steps = palette().scale;
      const id = "scale-gradient";
      bar.append(
        svg("defs", {}, svg("linearGradient", { id }, ...steps.map((step, at) => svg("stop", { offset: at / (steps.length - 1), "stop-color": step })))),
        svg("rect", { width: 240, height: 14, fill: `url(#${id})` }),
      );
      return [
        ...marked,
        heading,
        about,
        bar,
        h("div", { class: "ends" }, h("span", {}, `≤ ${real(scale.low)}`), h("span", {}, `≥ ${real(scale.high)}`)),
        h("p", { class: "small muted" }, `1st to 99th percentile${scale.log ? ", colours by log(1 + value)" : ""}`),
        ...(missing ? [h("p", { class: "entry small" }, mark_("circle", missing.color), `missing: ${count(missing.rows.length)}`)] : []),
      ] as Node[];
    }
    const named = [...groups.filter((group) => group.name !== null), ...groups.filter((group) => group.name === null)];
    const entries = named.map((group) => {
      const toggle = () => {
        if (!this.hidden.delete(group.name)) this.hidden.add(group.name);
        again();
        this.key.querySelector<HTMLElement>(`[data-name="${CSS.escape(group.name ?? "")}"]`)?.focus();
      };
      return h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            class: "entry",
            "data-name": group.name ?? "",
            "aria-pressed": String(!this.hidden.has(group.name)),
            onclick: toggle,
            onmouseenter: () => redraw(group.name),
            onmouseleave: () => redraw(),
          },
          mark_(group.symbol, group.color),
          h("span", { class: "name" }, group.name ?? "missing"),
          h("span", { class: "muted number" }, count(group.rows.length)),
        ),
      );
    });
    const every = (on: boolean) => () => {
      this.hidden.clear();
      if (!on) for (const group of groups) this.hidden.add(group.name);
      again();
    };
    return [
      ...marked,
      heading,
      about,
      h("p", { class: "actions" }, h("button", { type: "button", onclick: every(true) }, "Show all"), h("button", { type: "button", onclick: every(false) }, "Hide all")),
      h("ul", { class: "entries" }, ...entries),
    ] as Node[];
  }
}

function mark_(symbol: Symbol, color: string): SVGElement {
  const shapes: Record<Symbol, SVGElement> = {
    circle: svg("circle", { cx: 7, cy: 7, r: 5.5 }),
    triangle: svg("polygon", { points: "7,1 13,12.5 1,12.5" }),
    diamond: svg("polygon", { points: "7,0.5 13.5,7 7,13.5 0.5,7" }),
    rect: svg("rect", { x: 1.5, y: 1.5, width: 11, height: 11 }),
  };
  return svg("svg", { class: "swatch", viewBox: "0 0 14 14", fill: color, "aria-hidden": "true" }, shapes[symbol]);
}
