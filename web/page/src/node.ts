// One node and what is around it: relations to filter by, a graph to click through, a table of the same.

import * as api from "./api";
import { edgePanel, nodePanel } from "./details";
import { fill, h, loading, select, table } from "./dom";
import { count, plural, title, value, words } from "./format";
import { Neighbourhood, nodeId, type ShownEdge, type ShownNode } from "./neighbourhood";
import { problem } from "./problem";
import { format, go, LIMIT, type NodeRoute, nodeRoute, rename } from "./router";
import { arrow, badge, degreeText, glyph, negative, relationOf } from "./types";

/** Neighbours that "expand" adds at a time. */
const STEP = 20;
/** Nodes of a sampled subgraph that one can still tell apart. */
const SAMPLE = 120;
const MOST = 1000;
/** Neighbours at first where there is little room. */
const FEW = 16;
const narrow = window.matchMedia("(max-width: 640px)");

export async function nodeView(main: HTMLElement, route: NodeRoute, signal: AbortSignal): Promise<void> {
  if (main.childElementCount === 0) fill(main, loading(route.key));
  try {
    const models = api.embeddings(signal).catch(() => ({ models: [] }));
    const [schema, node, { models: known }] = await Promise.all([api.schema(), api.node(route.type, route.key, signal), models]);
    if (signal.aborted) return;
    // The address may have a label or another identifier; a link that is sent on should have the key.
    const own = { ...route, key: node.key };
    if (node.key !== route.key) rename(own);
    document.title = `${title(node)} · Relata`;
    await new NodePage(main, schema, known, node, own, signal).load();
  } catch (error) {
    if (api.isAbort(error)) return;
    const follow = (suggestion: string, { code }: api.ApiError) =>
      code === "unknown_key"
        ? nodeRoute(route.type, suggestion)
        : code === "unknown_type"
          ? nodeRoute(suggestion, route.key)
          : null;
    fill(main, h("h1", {}, route.key), problem(error, follow));
  }
}

class NodePage {
  private readonly stage = h("div", { class: "stage" }, loading("the neighbourhood"));
  private readonly shownText = h("span", { role: "status" });
  private readonly more = h("span", {});
  private readonly panel = h("aside", { class: "panel card", "aria-label": "Selected" });
  private readonly legend = h("ul", { class: "legend", "aria-label": "Legend" });
  private readonly shown: Neighbourhood;
  private drawing: import("./graph").GraphDrawing | undefined;
  /** How many neighbours each node has brought, for "expand" to go on. */
  private readonly brought = new Map<string, number>();

  constructor(
    main: HTMLElement,
    private readonly schema: api.Schema,
    private readonly models: readonly api.EmbeddingInfo[],
    private readonly node: api.NodeDetails,
    private readonly route: NodeRoute,
    private readonly signal: AbortSignal,
  ) {
    this.shown = new Neighbourhood(
      node,
      new Set(schema.relations.filter((relation) => relation.symmetric).map((relation) => relation.name)),
    );
    fill(
      main,
      h(
        "div",
        { class: "title" },
        h("h1", {}, title(node)),
        badge(schema, node.type),
        node.label && node.label !== node.key ? h("code", {}, node.key) : null,
      ),
      this.chips(),
      h("div", { class: "toolbar" }, this.tabs(), this.reach(), h("span", { class: "shown" }, this.shownText, " ", this.more)),
      h("div", { class: "split" }, h("div", { class: "card stage-card" }, this.stage, this.legend), this.panel),
    );
    this.showNode(node);
  }

  /** Asks for the neighbourhood and shows it. */
  async load(): Promise<void> {
    const { relation, direction, hops } = this.route;
    const limit = this.route.limit === LIMIT && this.route.as === "graph" && narrow.matches ? FEW : this.route.limit;
    try {
      if (hops === 1) {
        const answer = await api.neighbors(this.node.type, this.node.key, { relation, direction, limit }, this.signal);
        this.shown.addNeighbors(answer);
        this.brought.set(this.shown.centre, answer.neighbors.length);
        this.shownText.textContent = `Showing ${count(answer.neighbors.length)} of ${plural(answer.total, "link")}`;
        if (answer.neighbors.length < answer.total && limit < MOST) {
          const next = Math.min(limit * 2, MOST);
          fill(
            this.more,
            h(
              "a",
              { href: format({ ...this.route, limit: next }), "data-focus": "more" },
              `show ${count(Math.min(next, answer.total))}`,
            ),
          );
        }
      } else {
        const seeds = [{ type: this.node.type, key: this.node.key }];
        const answer = await api.subgraph(
          { seeds, hops, fanout: this.fanout(), ...(relation && { relations: [relation] }) },
          this.signal,
        );
        this.shown.addSubgraph(answer);
        this.shownText.textContent = `A sample: ${plural(answer.nodes.length, "node")}, ${plural(answer.edges.length, "edge")}`;
      }
      if (this.signal.aborted) return;
      await this.draw();
    } catch (error) {
      if (api.isAbort(error)) return;
      const follow = (suggestion: string, { code }: api.ApiError) =>
        code === "unknown_relation" ? { ...this.route, relation: suggestion } : null;
      fill(this.stage, problem(error, follow));
    }
  }

  /** Neighbours of each node and relation in a sample of about `SAMPLE` nodes, if all nodes had as many relations as this one. */
  private fanout(): number {
    const relations = this.route.relation === null ? Math.max(this.node.degrees.length, 1) : 1;
    return Math.ceil(SAMPLE ** (1 / this.route.hops) / relations);
  }

  private async draw(): Promise<void> {
    this.drawLegend();
    if (this.shown.edges.size === 0) {
      fill(
        this.stage,
        h("p", { class: "empty" }, `Nothing is linked to ${title(this.node)}${this.route.relation ? " by this relation" : ""}.`),
      );
    } else if (this.route.as === "table") {
      this.stage.classList.add("as-table");
      fill(this.stage, this.tableOfEdges());
    } else {
      const { GraphDrawing } = await import("./graph");
      if (this.signal.aborted) return;
      const label = `Graph of ${plural(this.shown.nodes.size, "node")} around ${title(this.node)}; the table shows the same`;
      this.stage.setAttribute("role", "group");
      this.stage.setAttribute("aria-label", label);
      const events = {
        select: (picked: ShownNode | ShownEdge | null) => this.pick(picked),
        open: (node: ShownNode) => go(nodeRoute(node.type, node.key)),
      };
      this.drawing = new GraphDrawing(this.stage, this.schema, this.shown, events, this.signal);
    }
  }

  private chips(): HTMLElement {
    const { relation, direction } = this.route;
    const all = this.node.degrees.reduce((sum, degree) => sum + degree.count, 0);
    const chip = (to: Partial<NodeRoute>, on: boolean, text: string, number: number) =>
      h(
        "li",
        {},
        h(
          "a",
          {
            class: "chip",
            href: format({ ...this.route, limit: LIMIT, ...to }),
            "aria-current": on ? "true" : null,
            "data-focus": `chip ${text}`,
          },
          text,
          " ",
          h("b", {}, count(number)),
        ),
      );
    return h(
      "ul",
      { class: "chips", "aria-label": "Relations" },
      chip({ relation: null, direction: null }, relation === null, "all", all),
      ...this.node.degrees.map((degree) => {
        const on = relation === degree.relation && (direction === null || direction === degree.direction);
        const to = on ? { relation: null, direction: null } : { relation: degree.relation, direction: degree.direction };
        return chip(to, on, degreeText(this.schema, degree), degree.count);
      }),
    );
  }

  private tabs(): HTMLElement {
    const tab = (as: NodeRoute["as"], text: string) =>
      h(
        "a",
        { href: format({ ...this.route, as }), "aria-current": this.route.as === as ? "true" : null, "data-focus": `tab ${as}` },
        text,
      );
    return h("span", { class: "tabs", role: "group", "aria-label": "Show as" }, tab("graph", "Graph"), tab("table", "Table"));
  }

  private reach(): HTMLElement {
    const options = ["1 step: neighbours", "2 steps: a sample", "3 steps: a sample"].map((text, at) => ({
      value: String(at + 1),
      text,
    }));
    return select("Reach", options, String(this.route.hops), (hops) => go({ ...this.route, hops: Number(hops) }));
  }

  private drawLegend(): void {
    const present = new Map<string, number>();
    for (const { type } of this.shown.nodes.values()) present.set(type, (present.get(type) ?? 0) + 1);
    const signs = new Set<string>();
    for (const { relation, attributes } of this.shown.edges.values()) {
      const name = negative(this.schema, relation, attributes);
      if (name !== null) signs.add(words(name));
    }
    fill(
      this.legend,
      ...[...present].map(([type, number]) =>
        h("li", {}, glyph(this.schema, type), words(type), " ", h("span", { class: "muted" }, count(number))),
      ),
      signs.size > 0 && h("li", {}, h("span", { class: "dashed", "aria-hidden": "true" }), `negative ${[...signs].join(", ")}`),
    );
  }

  private tableOfEdges(): HTMLElement {
    const link = (id: string) => {
      const node = this.shown.nodes.get(id) as ShownNode;
      if (id === this.shown.centre)
        return h("td", {}, h("span", { class: "named" }, glyph(this.schema, node.type), h("strong", {}, title(node))));
      const name = h("a", { href: format(nodeRoute(node.type, node.key)) }, title(node));
      return h(
        "td",
        {},
        h(
          "span",
          { class: "named" },
          glyph(this.schema, node.type),
          name,
          node.label && node.label !== node.key ? h("code", {}, node.key) : null,
        ),
      );
    };
    const rows = [...this.shown.edges.values()].map((edge) => {
      const relation = relationOf(this.schema, edge.relation);
      const carried = Object.entries(edge.attributes).flatMap(([name, of]) => {
        const text = value(
          of,
          relation?.attributes.find((attribute) => attribute.name === name),
        );
        return text === null ? [] : [`${words(name)} ${text}`];
      });
      if (edge.time !== null && !("time" in edge.attributes)) carried.push(`time ${edge.time}`);
      const verb = `${words(relation?.bare ?? edge.relation)} ${arrow(this.schema, edge.relation, "outgoing")}`;
      return h(
        "tr",
        {},
        link(edge.source),
        h("td", { class: "verb" }, verb),
        link(edge.target),
        h("td", {}, carried.join(", ") || "–"),
      );
    });
    return table(["From", "Relation", "To", "Carries"], rows, `Links around ${title(this.node)}`);
  }

  private pick(picked: ShownNode | ShownEdge | null): void {
    if (picked === null) return this.showNode(this.node);
    if ("relation" in picked) {
      const [source, target] = [this.shown.nodes.get(picked.source), this.shown.nodes.get(picked.target)];
      if (source && target) fill(this.panel, edgePanel(this.schema, picked, source, target));
      return;
    }
    if (picked.id === this.shown.centre) return this.showNode(this.node);
    fill(this.panel, loading(title(picked)));
    this.panel.dataset["of"] = picked.id;
    api.node(picked.type, picked.key, this.signal).then(
      (node) => this.panel.dataset["of"] === picked.id && this.showNode(node),
      (error: unknown) => api.isAbort(error) || fill(this.panel, problem(error)),
    );
  }

  private showNode(node: api.NodeDetails): void {
    this.panel.dataset["of"] = nodeId(node);
    const isCentre = nodeId(node) === this.shown.centre;
    fill(
      this.panel,
      nodePanel(this.schema, this.models, node, isCentre, () => void this.expand(node), this.signal),
    );
  }

  /** Adds the next neighbours of a node to the drawing. */
  private async expand(node: api.NodeDetails): Promise<void> {
    const id = nodeId(node);
    const offset = this.brought.get(id) ?? 0;
    // The centre goes on with what the filter asks for; other nodes show what they have.
    const { relation, direction } = id === this.shown.centre ? this.route : { relation: null, direction: null };
    try {
      const answer = await api.neighbors(node.type, node.key, { relation, direction, limit: STEP, offset }, this.signal);
      this.brought.set(id, offset + answer.neighbors.length);
      const before = this.shown.edges.size;
      const added = this.shown.addNeighbors(answer);
      const edges = this.shown.edges.size - before;
      const rest = answer.total - offset - answer.neighbors.length;
      this.shownText.textContent =
        answer.neighbors.length === 0
          ? `All ${plural(answer.total, "link")} of ${title(node)} are shown`
          : `Added ${plural(added, "node")} and ${plural(edges, "link")} around ${title(node)}; ${count(rest)} more`;
      fill(this.more);
      if (this.drawing) {
        this.drawing.add(id);
        this.drawing.select(id);
        this.drawLegend();
      } else {
        await this.draw();
      }
    } catch (error) {
      if (!api.isAbort(error)) this.shownText.textContent = error instanceof Error ? error.message : String(error);
    }
  }
}
