import { describe, expect, it } from "vitest";
import { colored, hasValues, valueOf } from "./coloring";
import { along, categoryLook, LIGHT, typeLook } from "./palette";

describe("categories", () => {
  const coloring = { attribute: "celltype", kind: "category" as const, names: ["B", "none", "T"], codes: [2, 0, -1, 2, 9] };

  it("come by size, what is missing below, and none that is empty", () => {
    const { groups, scale } = colored(coloring, 5, LIGHT, false);
    expect(groups.map(({ name, rows }) => [name, rows])).toEqual([
      [null, [2, 4]],
      ["T", [0, 3]],
      ["B", [1]],
    ]);
    expect(groups.map((group) => group.color)).toEqual([LIGHT.missing, LIGHT.categories[0], LIGHT.categories[1]]);
    expect(scale).toBeNull();
  });

  it("are told as they are", () => {
    expect([0, 1, 2, 4].map((row) => valueOf(coloring, row))).toEqual(["T", "B", null, null]);
    expect(hasValues({ ...coloring, codes: [-1, -1] })).toBe(false);
  });
});

describe("numbers", () => {
  const coloring = (values: (number | null)[]) => ({ attribute: "n", kind: "number" as const, values });

  it("do not mix what is missing with 0", () => {
    const { groups } = colored(coloring([0, null, 10]), 3, LIGHT, false);
    expect(groups.map((group) => group.rows)).toEqual([[1], [0], [2]]);
    expect(groups[0]?.color).toBe(LIGHT.missing);
  });

  it("leave colours to the many when one lies far out", () => {
    const values = [...Array.from({ length: 200 }, (_, at) => at), 1e9];
    const { groups, scale } = colored(coloring(values), values.length, LIGHT, false);
    expect(scale).toEqual({ low: 2, high: 198, log: false });
    expect(groups.length).toBe(24);
    expect(groups.flatMap((group) => group.rows).sort((a, b) => a - b)).toEqual(values.map((_, row) => row));
  });

  it("go by the logarithm only where none is negative", () => {
    expect(colored(coloring([1, 2]), 2, LIGHT, true).scale?.log).toBe(true);
    expect(colored(coloring([-1, 2]), 2, LIGHT, true).scale?.log).toBe(false);
  });

  it("may all be equal, or all missing", () => {
    expect(colored(coloring([3, 3]), 2, LIGHT, false).groups.map((group) => group.rows)).toEqual([[0, 1]]);
    expect(colored(coloring([null]), 1, LIGHT, false).groups.map((group) => group.rows)).toEqual([[0]]);
    expect(hasValues(coloring([null]))).toBe(false);
  });
});

it("runs along a scale, and stays on it", () => {
  expect(along(["#000000", "#ffffff"], 0.5)).toBe("#808080");
  expect([along(LIGHT.scale, -1), along(LIGHT.scale, 2)]).toEqual([LIGHT.scale[0], LIGHT.scale.at(-1)]);
});

it("gives no two looks alike before all have been given", () => {
  const distinct = (looks: unknown[]) => new Set(looks.map((look) => JSON.stringify(look))).size;
  expect(distinct(Array.from({ length: 56 }, (_, index) => typeLook(index)))).toBe(56);
  expect(distinct(Array.from({ length: 32 }, (_, rank) => categoryLook(rank)))).toBe(32);
});
