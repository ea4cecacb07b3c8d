import { expect, it } from "vitest";
import { address, errorOf } from "./api";

it("encodes what a key may hold", () => {
  expect(address(["v1", "nodes", "region", "chr1:5-9/+ %?#"])).toBe("v1/nodes/region/chr1%3A5-9%2F%2B%20%25%3F%23");
  expect(address(["v1", "search"], { q: "a&b=c", type: null, limit: 5 })).toBe("v1/search?q=a%26b%3Dc&limit=5");
});

it("shows the API's errors as they are, and others as what they are", () => {
  const body = JSON.stringify({
    error: { code: "unknown_key", message: "no gene is `TP5`", parameter: "key", suggestions: ["TP53"] },
  });
  expect(errorOf(404, body)).toMatchObject({
    status: 404,
    code: "unknown_key",
    message: "no gene is `TP5`",
    suggestions: ["TP53"],
  });
  expect(errorOf(502, "<h1>Bad gateway</h1>")).toMatchObject({ status: 502, message: "<h1>Bad gateway</h1>" });
  expect(errorOf(500, "").message).toContain("500");
  expect(errorOf(500, "{}").suggestions).toEqual([]);
});
