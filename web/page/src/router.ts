// The address bar holds the state of the page, behind the `#`: what is shown can be bookmarked, sent and gone back from.

import type { Direction } from "./api";

export type Route =
  | { view: "overview" }
  | { view: "search"; q: string; type: string | null }
  | NodeRoute
  | EmbeddingRoute
  | { view: "unknown"; path: string };

export interface NodeRoute {
  view: "node";
  type: string;
  key: string;
  /** Only neighbours by this relation, in this direction. */
  relation: string | null;
  direction: Direction | null;
  /** At most so many neighbours. */
  limit: number;
  /** 1: the neighbours; 2 or 3: a sampled subgraph. */
  hops: number;
  as: "graph" | "table";
}

export interface EmbeddingRoute {
  view: "embedding";
  /** Null: the first that the store has. */
  model: string | null;
  type: string | null;
  color: string | null;
  /** The key of a node to point at. */
  mark: string | null;
}

export const LIMIT = 60;
const MOST = 1000;

export function nodeRoute(type: string, key: string, rest: Partial<NodeRoute> = {}): NodeRoute {
  return { view: "node", type, key, relation: null, direction: null, limit: LIMIT, hops: 1, as: "graph", ...rest };
}

export function embeddingRoute(rest: Partial<EmbeddingRoute> = {}): EmbeddingRoute {
  return { view: "embedding", model: null, type: null, color: null, mark: null, ...rest };
}

/** The route of a hash; one that means nothing is `unknown`, and a parameter that means nothing has its default. */
export function parse(hash: string): Route {
  const [path = "", query = ""] = split(hash.replace(/^#/, ""), "?");
  const unknown: Route = { view: "unknown", path };
  let parts: string[];
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return unknown;
  }
  const parameters = new URLSearchParams(query);
  const [view, first, second] = parts;
  if (view === undefined) return { view: "overview" };
  if (view === "search" && parts.length === 1) {
    return { view, q: parameters.get("q") ?? "", type: parameters.get("type") };
  }
  if (view === "node" && first !== undefined && second !== undefined && parts.length === 3) {
    const direction = parameters.get("direction");
    return nodeRoute(first, second, {
      relation: parameters.get("relation"),
      direction: direction === "outgoing" || direction === "incoming" ? direction : null,
      limit: whole(parameters.get("limit"), LIMIT, MOST),
      hops: whole(parameters.get("hops"), 1, 3),
      as: parameters.get("as") === "table" ? "table" : "graph",
    });
  }
  if (view === "embedding" && parts.length !== 2 && parts.length <= 3) {
    return embeddingRoute({
      model: first ?? null,
      type: second ?? null,
      color: parameters.get("color"),
      mark: parameters.get("mark"),
    });
  }
  return unknown;
}

/** The hash of a route, without what is as by default. `parse(format(route))` is the route again. */
export function format(route: Route): string {
  switch (route.view) {
    case "overview":
      return "#/";
    case "search":
      return hash(["search"], { q: route.q, type: route.type });
    case "node": {
      const { relation, direction, limit, hops, as } = route;
      return hash(["node", route.type, route.key], {
        relation,
        direction,
        limit: limit === LIMIT ? null : String(limit),
        hops: hops === 1 ? null : String(hops),
        as: as === "graph" ? null : as,
      });
    }
    case "embedding": {
      const { model, type, color, mark } = route;
      return hash(["embedding", ...(model !== null && type !== null ? [model, type] : [])], { color, mark });
    }
    case "unknown":
      return `#${route.path}`;
  }
}

/** Shows a route, as a step that one can go back from. */
export function go(route: Route): void {
  location.hash = format(route);
}

/** The same page by a better address: nothing is shown anew, and there is no step to go back to. */
export function rename(route: Route): void {
  history.replaceState(null, "", format(route));
}

function hash(parts: string[], parameters: Record<string, string | null>): string {
  const given = Object.entries(parameters).filter((pair): pair is [string, string] => pair[1] !== null);
  const query = new URLSearchParams(given).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

function split(text: string, at: string): [string, string] {
  const where = text.indexOf(at);
  return where < 0 ? [text, ""] : [text.slice(0, where), text.slice(where + 1)];
}

function whole(text: string | null, otherwise: number, most: number): number {
  const number = text === null || !/^\d+$/.test(text) ? otherwise : Number(text);
  return number < 1 ? otherwise : Math.min(number, most);
}
