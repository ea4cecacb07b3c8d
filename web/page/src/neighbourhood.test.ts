import { expect, it } from "vitest";
import type { Neighbor, NodeName } from "./api";
import { Neighbourhood, nodeId } from "./neighbourhood";

const gene = (key: string): NodeName => ({ type: "gene", key, label: null });
const link = (key: string, relation: string, direction: "outgoing" | "incoming", attributes = {}): Neighbor => ({
  ...gene(key),
  relation,
  direction,
  time: null,
  attributes,
});

it("draws an edge once, whichever end told of it", () => {
  const shown = new Neighbourhood(gene("a"), new Set(["interacts"]));
  expect(
    shown.addNeighbors({
      node: gene("a"),
      total: 2,
      neighbors: [link("b", "interacts", "outgoing"), link("b", "regulates", "outgoing")],
    }),
  ).toBe(1);
  expect(
    shown.addNeighbors({
      node: gene("b"),
      total: 2,
      neighbors: [link("a", "interacts", "outgoing"), link("a", "regulates", "incoming")],
    }),
  ).toBe(0);
  expect([shown.nodes.size, shown.edges.size]).toEqual([2, 2]);
});

it("keeps apart what differs in direction, attributes or type", () => {
  const shown = new Neighbourhood(gene("a"), new Set());
  const neighbors = [
    link("b", "r", "outgoing"),
    link("b", "r", "incoming"),
    link("b", "r", "outgoing", { score: 1 }),
    { ...link("b", "r", "outgoing"), type: "cell" },
  ];
  shown.addNeighbors({ node: gene("a"), total: 4, neighbors });
  expect([shown.nodes.size, shown.edges.size]).toEqual([3, 4]);
});

it("keeps an edge in its relation's own direction", () => {
  const shown = new Neighbourhood(gene("a"), new Set());
  shown.addNeighbors({ node: gene("a"), total: 1, neighbors: [link("b", "r", "incoming")] });
  expect([...shown.edges.values()].map(({ source, target }) => [source, target])).toEqual([
    [nodeId(gene("b")), nodeId(gene("a"))],
  ]);
});

it("takes a subgraph by its indices, and counts steps from the centre", () => {
  const shown = new Neighbourhood(gene("a"), new Set());
  const nodes = ["a", "b", "c"].map((key, hop) => ({ ...gene(key), hop, seed: hop === 0 }));
  const edge = { relation: "r", time: null, attributes: {} };
  const added = shown.addSubgraph({
    snapshot: "s",
    nodes,
    edges: [
      { ...edge, source: 1, target: 0 },
      { ...edge, source: 1, target: 2 },
      { ...edge, source: 1, target: 7 },
    ],
  });
  expect([added, shown.edges.size]).toEqual([2, 2]);
  expect(shown.edgesAt(nodeId(gene("c"))).length).toBe(1);
  shown.addNeighbors({ node: gene("c"), total: 1, neighbors: [link("d", "r", "outgoing")] });
  expect(shown.nodes.get(nodeId(gene("d")))?.hop).toBe(3);
});
