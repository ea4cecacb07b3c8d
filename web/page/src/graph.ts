// The drawing of a neighbourhood, by cytoscape. What is shown comes from a `Neighbourhood`; what is clicked goes to `Events`.

import cytoscape from "cytoscape";
import fcose from "cytoscape-fcose";
import type { Schema } from "./api";
import { fill, h } from "./dom";
import { shorten, title, value, words } from "./format";
import type { Neighbourhood, ShownEdge, ShownNode } from "./neighbourhood";
import { onScheme, palette } from "./palette";
import { place } from "./tip";
import { look, negative, relationOf } from "./types";

cytoscape.use(fcose);

// Cytoscape writes one style element into the head, unless an element of this id is there; a strict content security policy
// forbids it, and style.css already places the canvas.
if (!document.getElementById("__________cytoscape_stylesheet"))
  document.head.append(h("meta", { id: "__________cytoscape_stylesheet" }));

export interface Events {
  /** A node or an edge was picked, or nothing. */
  select(picked: ShownNode | ShownEdge | null): void;
  /** A node was double-clicked. */
  open(node: ShownNode): void;
}

const LABEL = 24;
const NODE = 22;
const CENTRE = 40;
/** With more edges than this, one edge of each relation and direction speaks for all, until one points at another or zooms in. */
const LABELLED = 24;
/** A drawing of fewer pixels across has shorter edges. */
const NARROW = 500;

export class GraphDrawing {
  private readonly cy: cytoscape.Core;
  private readonly tip = h("div", { class: "tip", role: "presentation" });
  private readonly calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  constructor(
    private readonly box: HTMLElement,
    private readonly schema: Schema,
    private readonly shown: Neighbourhood,
    private readonly events: Events,
    signal: AbortSignal,
  ) {
    const canvas = h("div", { class: "canvas" });
    this.tip.hidden = true;
    fill(box, canvas, this.tip, this.buttons());
    this.cy = cytoscape({ container: canvas, style: this.style(), minZoom: 0.15, maxZoom: 4, boxSelectionEnabled: false });
    this.listen();
    this.add(null);
    const resized = new ResizeObserver(() => this.cy.resize());
    resized.observe(box);
    onScheme(() => this.cy.style(this.style()), signal);
    signal.addEventListener("abort", () => {
      resized.disconnect();
      this.cy.destroy();
    });
  }

  /** Draws what the neighbourhood has and the drawing has not; new nodes start around `from`. */
  add(from: string | null): void {
    const before = this.cy.nodes();
    const fixed = before.map((node) => ({ nodeId: node.id(), position: { ...node.position() } }));
    const nodes = [...this.shown.nodes.values()].filter((node) => this.cy.getElementById(node.id).empty());
    const edges = [...this.shown.edges.values()].filter((edge) => this.cy.getElementById(edge.id).empty());
    const origin = from === null ? { x: 0, y: 0 } : { ...this.cy.getElementById(from).position() };
    const far = [...this.shown.nodes.values()].some((node) => node.hop > 1);
    const length = far || this.cy.width() < NARROW ? 70 : 110;
    const places = this.places(nodes, origin, from === null ? 2 * length : 110);
    this.cy.add(nodes.map((node, at) => ({ group: "nodes", data: this.nodeData(node), position: places[at] ?? origin })));
    this.cy.add(edges.map((edge) => ({ group: "edges", data: this.edgeData(edge) })));
    const layout = this.cy.layout({
      name: "fcose",
      quality: "proof",
      randomize: false,
      animate: !this.calm && from !== null,
      animationDuration: 350,
      nodeDimensionsIncludeLabels: true,
      idealEdgeLength: length,
      nodeRepulsion: 9000,
      padding: 28,
      ...(fixed.length > 0 && { fixedNodeConstraint: fixed }),
    } as cytoscape.LayoutOptions);
    layout.one("layoutstop", () => this.quieten());
    layout.run();
  }

  /** Leaves a label to the longest edge of each kind where there are many. */
  private quieten(): void {
    const edges = this.cy.edges();
    edges.toggleClass("quiet", edges.length > LABELLED);
    const longest = new Map<string, { edge: cytoscape.EdgeSingular; length: number }>();
    for (const edge of edges.toArray() as cytoscape.EdgeSingular[]) {
      const [from, to] = [edge.source().position(), edge.target().position()];
      const length = Math.hypot(from.x - to.x, from.y - to.y);
      const ends = [edge.data("source"), edge.data("target")].map((id) => id === this.shown.centre);
      const kind = `${edge.data("relation")} ${ends.join(" ")}`;
      if (length > (longest.get(kind)?.length ?? 0)) longest.set(kind, { edge, length });
    }
    for (const { edge } of longest.values()) edge.removeClass("quiet");
  }

  /** Marks a node or an edge as picked, as if it had been clicked. */
  select(id: string): void {
    this.cy.elements().unselect();
    this.cy.getElementById(id).select();
  }

  /** Where new nodes start: on rings around the origin, those of one relation and type side by side. */
  private places(nodes: readonly ShownNode[], origin: cytoscape.Position, radius: number): cytoscape.Position[] {
    const kin = (node: ShownNode) => `${node.hop} ${this.shown.edgesAt(node.id)[0]?.relation ?? ""} ${node.type}`;
    const order = nodes
      .map((node, at) => ({ at, kin: kin(node) }))
      .sort((one, other) => (one.kin < other.kin ? -1 : one.kin > other.kin ? 1 : 0));
    const places: cytoscape.Position[] = [];
    order.forEach(({ at }, rank) => {
      const node = nodes[at] as ShownNode;
      const angle = (Math.PI * 2 * rank) / order.length;
      const far = node.id === this.shown.centre ? 0 : radius * Math.max(node.hop, 1) * (1 + (rank % 3) * 0.25);
      places[at] = { x: origin.x + far * Math.cos(angle), y: origin.y + far * Math.sin(angle) };
    });
    return places;
  }

  private nodeData(node: ShownNode) {
    return { id: node.id, type: node.type, label: shorten(title(node), LABEL), centre: node.id === this.shown.centre ? 1 : 0 };
  }

  private edgeData(edge: ShownEdge) {
    const relation = relationOf(this.schema, edge.relation);
    return {
      id: edge.id,
      source: edge.source,
      target: edge.target,
      relation: edge.relation,
      label: words(relation?.bare ?? edge.relation),
      directed: relation?.symmetric ? 0 : 1,
      negative: negative(this.schema, edge.relation, edge.attributes) === null ? 0 : 1,
    };
  }

  private listen(): void {
    this.cy.on("tap", (event) => {
      const { target } = event;
      if (target === this.cy) {
        this.cy.elements().unselect();
        this.events.select(null);
        return;
      }
      const id = (target as cytoscape.SingularElementReturnValue).id();
      this.events.select(this.shown.nodes.get(id) ?? this.shown.edges.get(id) ?? null);
    });
    this.cy.on("dbltap", "node", (event) => {
      const node = this.shown.nodes.get((event.target as cytoscape.NodeSingular).id());
      if (node) this.events.open(node);
    });
    this.cy.on("mouseover", "node, edge", (event) => {
      const element = event.target as cytoscape.NodeSingular | cytoscape.EdgeSingular;
      const near = element.isNode()
        ? element.closedNeighborhood()
        : element.union((element as cytoscape.EdgeSingular).connectedNodes());
      this.cy.elements().difference(near).addClass("faded");
      near.edges().addClass("pointed");
      this.show(element.id(), event.renderedPosition ?? { x: 0, y: 0 });
    });
    this.cy.on("mouseout", "node, edge", () => {
      this.cy.elements().removeClass("faded pointed");
      this.tip.hidden = true;
    });
    this.cy.on("viewport", () => {
      this.tip.hidden = true;
    });
  }

  private show(id: string, at: cytoscape.Position): void {
    const node = this.shown.nodes.get(id);
    const edge = this.shown.edges.get(id);
    if (node) {
      fill(this.tip, h("strong", {}, title(node)), h("div", {}, words(node.type), " ", h("code", {}, node.key)));
    } else if (edge) {
      const relation = relationOf(this.schema, edge.relation);
      const lines = Object.entries(edge.attributes).map(([name, of]) => {
        const text = value(
          of,
          relation?.attributes.find((attribute) => attribute.name === name),
        );
        return text === null ? null : h("div", {}, `${words(name)}: ${text}`);
      });
      const [source, target] = [this.shown.nodes.get(edge.source), this.shown.nodes.get(edge.target)];
      const sign = relation?.symmetric ? "↔" : "→";
      const ends = source && target ? `${title(source)} ${sign} ${title(target)}` : "";
      fill(this.tip, h("strong", {}, words(relation?.bare ?? edge.relation)), h("div", {}, ends), ...lines);
    }
    place(this.tip, this.box, at.x, at.y);
  }

  private buttons(): HTMLElement {
    const zoom = (by: number) => () => {
      this.cy.zoom({ level: this.cy.zoom() * by, renderedPosition: { x: this.cy.width() / 2, y: this.cy.height() / 2 } });
    };
    const button = (text: string, label: string, act: () => void) =>
      h("button", { type: "button", title: label, "aria-label": label, onclick: act }, text);
    return h(
      "div",
      { class: "zoom" },
      button("+", "Zoom in", zoom(1.3)),
      button("−", "Zoom out", zoom(1 / 1.3)),
      button("⤢", "Fit all", () => this.cy.fit(undefined, 28)),
    );
  }

  private style(): cytoscape.StylesheetJson {
    const colors = palette();
    const font = getComputedStyle(document.body).fontFamily;
    return [
      {
        selector: "node",
        style: {
          label: "data(label)",
          width: NODE,
          height: NODE,
          "font-family": font,
          "font-size": 11,
          color: colors.text,
          "text-valign": "bottom",
          "text-margin-y": 3,
          "text-outline-width": 2,
          "text-outline-color": colors.card,
          "min-zoomed-font-size": 6,
          "border-width": 1.5,
          "border-color": colors.card,
        },
      },
      ...this.schema.node_types.map(({ name }) => {
        const { color, shape } = look(this.schema, name);
        return { selector: `node[type = ${JSON.stringify(name)}]`, style: { "background-color": color, shape } };
      }),
      { selector: "node[centre = 1]", style: { width: CENTRE, height: CENTRE, "font-size": 14, "font-weight": "bold" as const } },
      { selector: "node:selected", style: { "border-width": 4, "border-color": colors.accent } },
      {
        selector: "edge",
        style: {
          label: "data(label)",
          width: 1.5,
          "line-color": colors.line,
          "curve-style": "bezier",
          "target-arrow-color": colors.line,
          "arrow-scale": 0.8,
          "font-family": font,
          "font-size": 9,
          color: colors.muted,
          "text-rotation": "autorotate",
          "text-outline-width": 2,
          "text-outline-color": colors.card,
          "min-zoomed-font-size": 7,
        },
      },
      { selector: "edge[directed = 1]", style: { "target-arrow-shape": "triangle" } },
      { selector: "edge[negative = 1]", style: { "line-style": "dashed", "target-arrow-shape": "tee" } },
      { selector: "edge.quiet", style: { "min-zoomed-font-size": 14 } },
      { selector: ".faded", style: { opacity: 0.25 } },
      {
        selector: "edge:selected, edge.pointed",
        style: {
          "line-color": colors.accent,
          "target-arrow-color": colors.accent,
          color: colors.text,
          width: 2.5,
          "min-zoomed-font-size": 0,
          "z-index": 9,
        },
      },
    ] as cytoscape.StylesheetJson;
  }
}
