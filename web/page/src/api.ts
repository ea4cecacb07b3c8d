// The typed client of relata-serve's JSON API. Only this module knows its addresses.

export interface AttributeInfo {
  name: string;
  kind: string;
  unit: string | null;
  transform: string | null;
  about: string | null;
  identifier: boolean;
}

export interface NodeTypeInfo {
  name: string;
  about: string | null;
  label: string | null;
  nodes: number;
  attributes: AttributeInfo[];
}

export interface RelationInfo {
  /** Full name, such as `cell.expresses.gene`. */
  name: string;
  /** The verb alone, such as `expresses`. */
  bare: string;
  source: string;
  target: string;
  contains: "source" | "target" | null;
  symmetric: boolean;
  about: string | null;
  edges: number;
  attributes: AttributeInfo[];
}

export interface Schema {
  snapshot: string;
  node_types: NodeTypeInfo[];
  relations: RelationInfo[];
}

export interface Drop {
  reason: string;
  count: number;
  examples: string[];
}

export interface SourceRecord {
  dataset: string;
  name: string;
  path: string;
  format: string;
  sha256: string;
  bytes: number;
  loader: string;
  tally: { read: number; kept: number; nodes: number; edges: number; values: number; drops: Drop[] };
}

export interface EmbeddingInfo {
  model: string;
  snapshot: string;
  node_type: string;
  dimension: number;
  count: number;
  run: string;
  has_layout: boolean;
}

export interface Stats {
  snapshot: string;
  bytes: number;
  nodes: number;
  edges: number;
  node_types: Record<string, number>;
  relations: Record<string, number>;
  sources: SourceRecord[];
  models: EmbeddingInfo[];
}

export interface NodeName {
  type: string;
  key: string;
  label: string | null;
}

export interface Interval {
  contig: string;
  start: number;
  end: number;
  strand?: string | null;
}

export type Value = string | number | boolean | null | Interval | number[];
export type Values = Record<string, Value>;
export type Direction = "outgoing" | "incoming";

export interface Degree {
  relation: string;
  direction: Direction;
  /** The type at the far end. */
  type: string;
  count: number;
}

export interface NodeDetails extends NodeName {
  attributes: Values;
  degrees: Degree[];
}

export interface Neighbor extends NodeName {
  relation: string;
  direction: Direction;
  time: number | null;
  attributes: Values;
}

export interface Neighbors {
  node: NodeName;
  total: number;
  neighbors: Neighbor[];
}

export interface Subgraph {
  snapshot: string;
  nodes: (NodeName & { hop: number; seed: boolean })[];
  /** `source` and `target` are indices into `nodes`, in the relation's own direction. */
  edges: { relation: string; source: number; target: number; time: number | null; attributes: Values }[];
}

export type Coloring =
  | { attribute: string; kind: "category"; names: string[]; codes: number[] }
  | { attribute: string; kind: "number"; values: (number | null)[] };

export interface Layout {
  model: string;
  type: string;
  keys: string[];
  x: number[];
  y: number[];
  color: Coloring | null;
}

export interface Hit {
  key: string;
  label: string | null;
  similarity: number;
}

/** What the server, or the way to it, answered instead of data. */
export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 when no answer came. */
    readonly status: number,
    readonly code: string,
    message: string,
    readonly parameter: string | null = null,
    readonly suggestions: readonly string[] = [],
  ) {
    super(message);
    this.name = "ApiError";
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

type Query = Record<string, string | number | null | undefined>;

/** A path of the API from its parts, each percent-encoded, with the parameters that have a value. */
export function address(parts: readonly string[], query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const parameters = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return parts.map(encodeURIComponent).join("/") + (parameters ? `?${parameters}` : "");
}

/** The error that a body and its status stand for; a body that is none of the API's errors is shown as it is. */
export function errorOf(status: number, body: string): ApiError {
  try {
    const { error } = JSON.parse(body) as { error?: Partial<ApiError> };
    if (error?.message) {
      return new ApiError(status, error.code ?? "error", error.message, error.parameter ?? null, error.suggestions ?? []);
    }
  } catch {
    // Not JSON: a proxy's page, or the server's plain text.
  }
  return new ApiError(status, "http", body.trim().slice(0, 400) || `The server answered with status ${status}.`);
}

async function request<T>(path: string, signal?: AbortSignal, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      ...(signal && { signal }),
      ...(body !== undefined && {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, "offline", "The server does not answer. Is relata-serve still running?");
  }
  const text = await response.text();
  if (!response.ok) throw errorOf(response.status, text);
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError(response.status, "not_json", `The answer to ${path} is not JSON: ${text.slice(0, 200)}`);
  }
}

let schemaOnce: Promise<Schema> | undefined;
let healthOnce: Promise<{ version: string }> | undefined;

/** Asked once: a server serves one snapshot, which never changes. */
export function schema(): Promise<Schema> {
  schemaOnce ??= request<Schema>("v1/schema").catch((error: unknown) => {
    schemaOnce = undefined;
    throw error;
  });
  return schemaOnce;
}

export function health(): Promise<{ version: string }> {
  healthOnce ??= request<{ version: string }>("health").catch((error: unknown) => {
    healthOnce = undefined;
    throw error;
  });
  return healthOnce;
}

export function stats(signal?: AbortSignal): Promise<Stats> {
  return request("v1/stats", signal);
}

export function search(q: string, type: string | null, limit: number, signal?: AbortSignal): Promise<{ hits: NodeName[] }> {
  return request(address(["v1", "search"], { q, type, limit }), signal);
}

export function node(type: string, key: string, signal?: AbortSignal): Promise<NodeDetails> {
  return request(address(["v1", "nodes", type, key]), signal);
}

export interface NeighborQuery {
  relation?: string | null;
  direction?: Direction | null;
  limit: number;
  offset?: number;
}

export function neighbors(type: string, key: string, query: NeighborQuery, signal?: AbortSignal): Promise<Neighbors> {
  return request(address(["v1", "nodes", type, key, "neighbors"], { ...query }), signal);
}

export interface SubgraphQuery {
  seeds: { type: string; key: string }[];
  hops: number;
  fanout: number;
  relations?: string[];
}

export function subgraph(query: SubgraphQuery, signal?: AbortSignal): Promise<Subgraph> {
  return request("v1/subgraph", signal, query);
}

export function embeddings(signal?: AbortSignal): Promise<{ models: EmbeddingInfo[] }> {
  return request("v1/embeddings", signal);
}

export function nearest(model: string, type: string, key: string, count: number, signal?: AbortSignal): Promise<{ hits: Hit[] }> {
  return request(address(["v1", "embeddings", model, type, "nearest"]), signal, { key, count });
}

export function layout(model: string, type: string, color: string | null, signal?: AbortSignal): Promise<Layout> {
  return request(address(["v1", "layouts", model, type], { color }), signal);
}
