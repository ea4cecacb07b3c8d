import { describe, expect, it } from "vitest";
import { embeddingRoute, format, LIMIT, nodeRoute, parse, type Route } from "./router";

describe("routes", () => {
  it.each<[string, Route]>([
    ["#/", { view: "overview" }],
    ["#/search?q=T+cell&type=cell_type", { view: "search", q: "T cell", type: "cell_type" }],
    ["#/node/gene/ENSG00000141510", nodeRoute("gene", "ENSG00000141510")],
    ["#/node/region/chr1%3A5-9%3A%2B", nodeRoute("region", "chr1:5-9:+")],
    ["#/node/term/a%2Fb%3Fc%23d%25", nodeRoute("term", "a/b?c#d%")],
    [
      "#/node/gene/X?relation=gene.interacts.gene&direction=incoming&limit=120&hops=2&as=table",
      nodeRoute("gene", "X", { relation: "gene.interacts.gene", direction: "incoming", limit: 120, hops: 2, as: "table" }),
    ],
    ["#/embedding", embeddingRoute()],
    [
      "#/embedding/blood/cell?color=celltype&mark=A-1",
      embeddingRoute({ model: "blood", type: "cell", color: "celltype", mark: "A-1" }),
    ],
    // An empty colour is a choice, not the default.
    ["#/embedding/blood/cell?color=", embeddingRoute({ model: "blood", type: "cell", color: "" })],
  ])("%s is read and written alike", (hash, route) => {
    expect(parse(hash)).toEqual(route);
    expect(format(route)).toBe(hash);
  });

  it("takes no hash as the overview", () => {
    expect(parse("")).toEqual({ view: "overview" });
    expect(parse("#")).toEqual({ view: "overview" });
  });

  it.each(["#/nowhere", "#/node/gene", "#/node/gene/a/b", "#/embedding/blood", "#/node/gene/%E0%A4%A"])(
    "%s is unknown",
    (hash) => {
      expect(parse(hash).view).toBe("unknown");
    },
  );

  it.each([
    ["limit=-3", LIMIT],
    ["limit=0", LIMIT],
    ["limit=1e9", LIMIT],
    ["limit=5000", 1000],
    ["direction=sideways&limit=7", 7],
  ])("a parameter that means nothing (%s) has its default", (query, limit) => {
    expect(parse(`#/node/gene/X?${query}`)).toEqual(nodeRoute("gene", "X", { limit }));
  });
});
