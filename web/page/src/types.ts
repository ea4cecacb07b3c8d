// How the schema's node types and relations look: one colour and one shape a type, one arrow a direction.

import type { Degree, Direction, RelationInfo, Schema, Values } from "./api";
import { h, svg } from "./dom";
import { words } from "./format";
import { palette, type Shape, typeLook } from "./palette";

export function look(schema: Schema, type: string): { color: string; shape: Shape } {
  const { color, shape } = typeLook(place(schema, type));
  return { color: palette().categories[color] as string, shape };
}

/** A type's place among those with nodes, in the schema's order: the few that a store has should differ most. */
function place(schema: Schema, type: string): number {
  const [present, absent] = [
    schema.node_types.filter((known) => known.nodes > 0),
    schema.node_types.filter((known) => known.nodes === 0),
  ];
  return [...present, ...absent].findIndex((known) => known.name === type);
}

/** A type's mark, for legends and badges; its colour comes from the style sheet, which knows the scheme. */
export function glyph(schema: Schema, type: string): SVGElement {
  const { color, shape } = typeLook(place(schema, type));
  return svg("svg", { class: `glyph c${color}`, viewBox: "0 0 20 20", "aria-hidden": "true" }, outline(shape));
}

export function badge(schema: Schema, type: string): HTMLElement {
  return h("span", { class: "badge" }, glyph(schema, type), words(type));
}

export function relationOf(schema: Schema, name: string): RelationInfo | undefined {
  return schema.relations.find((relation) => relation.name === name);
}

export function arrow(schema: Schema, relation: string, direction: Direction): string {
  if (relationOf(schema, relation)?.symmetric) return "↔";
  return direction === "outgoing" ? "→" : "←";
}

/** `expresses → gene`, `regulates ← region`: a degree as seen from its node. */
export function degreeText(schema: Schema, degree: Omit<Degree, "count">): string {
  const name = words(relationOf(schema, degree.relation)?.bare ?? degree.relation);
  const sign = arrow(schema, degree.relation, degree.direction);
  return `${name} ${sign} ${words(degree.type)}`;
}

/** The attribute by which an edge is negative (represses, lowers), or null. A number with a unit (a distance) has no say. */
export function negative(schema: Schema, relation: string, attributes: Values): string | null {
  const unitless = relationOf(schema, relation)?.attributes.filter((attribute) => attribute.unit === null) ?? [];
  const found = unitless.find(({ name }) => {
    const number = attributes[name];
    return typeof number === "number" && number < 0;
  });
  return found?.name ?? null;
}

function outline(shape: Shape): SVGElement {
  const round = (sides: number, radii: readonly number[]) =>
    Array.from({ length: sides * radii.length }, (_, at) => {
      const angle = (Math.PI * 2 * at) / (sides * radii.length) - Math.PI / 2;
      const radius = radii[at % radii.length] as number;
      return `${(10 + radius * Math.cos(angle)).toFixed(1)},${(10.5 + radius * Math.sin(angle)).toFixed(1)}`;
    }).join(" ");
  switch (shape) {
    case "ellipse":
      return svg("circle", { cx: 10, cy: 10, r: 8 });
    case "round-rectangle":
      return svg("rect", { x: 3, y: 3, width: 14, height: 14, rx: 3 });
    case "diamond":
      return svg("polygon", { points: "10,1 19,10 10,19 1,10" });
    case "triangle":
      return svg("polygon", { points: "10,2 19,18 1,18" });
    case "hexagon":
      return svg("polygon", { points: "5.5,2.5 14.5,2.5 19,10 14.5,17.5 5.5,17.5 1,10" });
    case "pentagon":
      return svg("polygon", { points: round(5, [9.5]) });
    case "star":
      return svg("polygon", { points: round(5, [9.5, 4.4]) });
  }
}
