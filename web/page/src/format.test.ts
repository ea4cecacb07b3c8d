import { describe, expect, it } from "vitest";
import type { AttributeInfo } from "./api";
import { brief, bytes, plural, real, shorten, title, value } from "./format";

const info = (kind: string, unit: string | null = null): AttributeInfo => ({
  name: "a",
  kind,
  unit,
  transform: null,
  about: null,
  identifier: false,
});

describe("values", () => {
  it("never writes a missing one as a number", () => {
    expect(value(null, info("number"))).toBeNull();
    expect(value(undefined)).toBeNull();
    expect(value(0, info("number"))).toBe("0");
    expect(value(false, info("boolean"))).toBe("no");
  });

  it("writes units, times and intervals", () => {
    expect(value(25772, info("count", "bp"))).toBe("25,772 bp");
    expect(value(2024, info("time"))).toBe("2024");
    expect(value({ contig: "chr17", start: 7661778, end: 7687550, strand: "-" })).toBe("chr17:7,661,778–7,687,550 (-)");
    expect(value({ contig: "chr22", start: 5, end: 9, strand: "." })).toBe("chr22:5–9");
    expect(value([1, 2, 3, 4, 5])).toBe("[1, 2, 3, 4, … 5 numbers]");
  });

  it("leaves text as it is", () => {
    expect(value("<b>x</b>")).toBe("<b>x</b>");
  });
});

it.each([
  [0, "0"],
  [0.123456, "0.1235"],
  [-1, "-1"],
  [1e-7, "1.00e-7"],
  [1234567, "1,234,567"],
])("real(%d) is %s", (number, text) => {
  expect(real(number)).toBe(text);
});

it("counts in brief", () => {
  expect([brief(9999), brief(2_702_861), plural(1, "node"), plural(1532, "node")]).toEqual([
    "9,999",
    "2.7M",
    "1 node",
    "1,532 nodes",
  ]);
  expect([bytes(17), bytes(2048), bytes(48_211_020)]).toEqual(["17 B", "2.0 KiB", "46 MiB"]);
});

it("names a node by its label, else by its key", () => {
  expect([title({ key: "K", label: null }), title({ key: "K", label: "" }), title({ key: "K", label: "L" })]).toEqual([
    "K",
    "K",
    "L",
  ]);
  expect(shorten("αβγδε", 4)).toBe("αβγ…");
});
