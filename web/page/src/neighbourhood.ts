// The part of the graph that is on the screen: a plain model that the drawing and the table share.

import type { Neighbors, NodeName, Subgraph, Values } from "./api";

export interface ShownNode extends NodeName {
  id: string;
  /** Steps from the centre when it was added. */
  hop: number;
}

export interface ShownEdge {
  id: string;
  relation: string;
  /** Ids of nodes, in the relation's own direction. */
  source: string;
  target: string;
  time: number | null;
  attributes: Values;
}

/** The same node has the same id whichever answer brought it. */
export function nodeId(node: Pick<NodeName, "type" | "key">): string {
  return JSON.stringify([node.type, node.key]);
}

export class Neighbourhood {
  readonly nodes = new Map<string, ShownNode>();
  readonly edges = new Map<string, ShownEdge>();
  readonly centre: string;

  constructor(
    centre: NodeName,
    /** Relations whose two ends are alike: an edge is the same from either end. */
    private readonly symmetric: ReadonlySet<string>,
  ) {
    this.centre = this.addNode(centre, 0);
  }

  /** Adds what the API says around one node. Returns how many nodes are new. */
  addNeighbors(answer: Neighbors): number {
    const before = this.nodes.size;
    const here = this.addNode(answer.node, 1);
    const hop = (this.nodes.get(here)?.hop ?? 0) + 1;
    for (const { relation, direction, time, attributes, ...far } of answer.neighbors) {
      const there = this.addNode(far, hop);
      const [source, target] = direction === "outgoing" ? [here, there] : [there, here];
      this.addEdge({ relation, source, target, time, attributes });
    }
    return this.nodes.size - before;
  }

  /** Adds a sampled subgraph. Returns how many nodes are new. */
  addSubgraph(answer: Subgraph): number {
    const before = this.nodes.size;
    const ids = answer.nodes.map((node) => this.addNode(node, node.hop));
    for (const { source, target, ...rest } of answer.edges) {
      const [from, to] = [ids[source], ids[target]];
      if (from !== undefined && to !== undefined) this.addEdge({ source: from, target: to, ...rest });
    }
    return this.nodes.size - before;
  }

  /** The edges at a node. */
  edgesAt(id: string): ShownEdge[] {
    return [...this.edges.values()].filter((edge) => edge.source === id || edge.target === id);
  }

  private addNode({ type, key, label }: NodeName, hop: number): string {
    const id = nodeId({ type, key });
    if (!this.nodes.has(id)) this.nodes.set(id, { id, type, key, label, hop });
    return id;
  }

  private addEdge(edge: Omit<ShownEdge, "id">): void {
    const swap = this.symmetric.has(edge.relation) && edge.source > edge.target;
    const ends = swap ? [edge.target, edge.source] : [edge.source, edge.target];
    const id = JSON.stringify([edge.relation, ...ends, edge.time, edge.attributes]);
    if (!this.edges.has(id)) this.edges.set(id, { id, ...edge });
  }
}
