// What the colours of a map mean.

import type { Group, Scale } from "./coloring";
import { h, svg } from "./dom";
import { count, real } from "./format";
import { palette, type PointSymbol } from "./palette";

export interface Toggles {
  /** The pointer rests on a category, or on none. */
  light(name?: string | null): void;
  /** What is hidden has changed. */
  change(): void;
}

/** One button a category, which hides and shows it in `hidden`. */
export function categoryLegend(groups: readonly Group[], hidden: Set<string | null>, toggles: Toggles): HTMLElement {
  const entry = (group: Group) => {
    const id = `category-${groups.indexOf(group)}`;
    const toggle = () => {
      if (!hidden.delete(group.name)) hidden.add(group.name);
      toggles.change();
      document.getElementById(id)?.focus();
    };
    return h(
      "li",
      {},
      h(
        "button",
        {
          id,
          type: "button",
          class: "entry",
          "aria-pressed": String(!hidden.has(group.name)),
          onclick: toggle,
          onmouseenter: () => toggles.light(group.name),
          onmouseleave: () => toggles.light(),
        },
        swatch(group.symbol, group.color),
        h("span", { class: "name" }, group.name ?? "missing"),
        h("span", { class: "muted number" }, count(group.rows.length)),
      ),
    );
  };
  const all = (shown: boolean) => () => {
    hidden.clear();
    if (!shown) for (const group of groups) hidden.add(group.name);
    toggles.change();
  };
  const button = (text: string, act: () => void) => h("button", { type: "button", onclick: act }, text);
  const [named, missing] = [groups.filter((group) => group.name !== null), groups.filter((group) => group.name === null)];
  return h(
    "div",
    {},
    h("p", { class: "actions" }, button("Show all", all(true)), button("Hide all", all(false))),
    h("ul", { class: "entries" }, ...[...named, ...missing].map(entry)),
  );
}

/** A bar from the lowest to the highest colour, with what they stand for. */
export function scaleLegend(groups: readonly Group[], scale: Scale): HTMLElement {
  const missing = groups.find((group) => group.name === null);
  const steps = palette().scale;
  const stops = steps.map((step, at) => svg("stop", { offset: at / (steps.length - 1), "stop-color": step }));
  const bar = svg(
    "svg",
    {
      class: "scale",
      viewBox: "0 0 240 14",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `from ${real(scale.low)} to ${real(scale.high)}`,
    },
    svg("defs", {}, svg("linearGradient", { id: "scale-gradient" }, ...stops)),
    svg("rect", { width: 240, height: 14, fill: "url(#scale-gradient)" }),
  );
  return h(
    "div",
    {},
    bar,
    h("div", { class: "ends" }, h("span", {}, `≤ ${real(scale.low)}`), h("span", {}, `≥ ${real(scale.high)}`)),
    h("p", { class: "small muted" }, `1st to 99th percentile${scale.log ? ", colours by log(1 + value)" : ""}`),
    missing && h("p", { class: "entry small" }, swatch("circle", missing.color), `missing: ${count(missing.rows.length)}`),
  );
}

function swatch(symbol: PointSymbol, color: string): SVGElement {
  const shapes: Record<PointSymbol, SVGElement> = {
    circle: svg("circle", { cx: 7, cy: 7, r: 5.5 }),
    triangle: svg("polygon", { points: "7,1 13,12.5 1,12.5" }),
    diamond: svg("polygon", { points: "7,0.5 13.5,7 7,13.5 0.5,7" }),
    rect: svg("rect", { x: 1.5, y: 1.5, width: 11, height: 11 }),
  };
  return svg("svg", { class: "swatch", viewBox: "0 0 14 14", fill: color, "aria-hidden": "true" }, shapes[symbol]);
}
