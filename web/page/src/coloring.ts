// From the API's codes or values to groups of points that are drawn in one colour.

import type { Coloring } from "./api";
import { along, categoryLook, type Palette, type PointSymbol } from "./palette";

export interface Group {
  /** The category, or null for what is missing. */
  name: string | null;
  color: string;
  symbol: PointSymbol;
  rows: number[];
}

export interface Scale {
  low: number;
  high: number;
  /** Whether colours go by log(1 + value). */
  log: boolean;
}

export interface Colored {
  /** In the order of drawing: what is missing lies below. */
  groups: Group[];
  /** For numbers. */
  scale: Scale | null;
}

/** Steps of a number's scale: one group each, so that a hundred thousand points are still few series. */
const STEPS = 24;

/**
 * Groups of `count` points. Categories come by size, the largest first; numbers in steps between the 1st and 99th
 * percentile, so that a single outlier does not take all colours.
 */
export function colored(coloring: Coloring | null, count: number, palette: Palette, log: boolean): Colored {
  if (coloring === null) {
    const rows = Array.from({ length: count }, (_, row) => row);
    return { groups: [{ name: null, color: palette.categories[0] as string, symbol: "circle", rows }], scale: null };
  }
  return coloring.kind === "category" ? categories(coloring, palette) : numbers(coloring.values, palette, log);
}

/** Whether any point has a value. */
export function hasValues(coloring: Coloring): boolean {
  return coloring.kind === "category"
    ? coloring.codes.some((code) => code >= 0)
    : coloring.values.some((value) => value !== null);
}

/** What a point's hover says of it; null when the value is missing. */
export function valueOf(coloring: Coloring | null, row: number): string | number | null {
  if (coloring === null) return null;
  if (coloring.kind === "number") return coloring.values[row] ?? null;
  return coloring.names[coloring.codes[row] ?? -1] ?? null;
}

function categories(coloring: Extract<Coloring, { kind: "category" }>, palette: Palette): Colored {
  const rows: number[][] = coloring.names.map(() => []);
  const missing: number[] = [];
  coloring.codes.forEach((code, row) => (rows[code] ?? missing).push(row));
  const groups = coloring.names
    .map((name, code) => ({ name, rows: rows[code] as number[] }))
    .filter((group) => group.rows.length > 0)
    .sort((one, other) => other.rows.length - one.rows.length || one.name.localeCompare(other.name))
    .map((group, rank): Group => {
      const { color, symbol } = categoryLook(rank);
      return { ...group, color: palette.categories[color] as string, symbol };
    });
  return { groups: [...missed(missing, palette), ...groups], scale: null };
}

function numbers(values: readonly (number | null)[], palette: Palette, log: boolean): Colored {
  const known = values.filter((value): value is number => value !== null && Number.isFinite(value)).sort((a, b) => a - b);
  const at = (share: number) => known[Math.round(share * (known.length - 1))] ?? 0;
  const scale: Scale = { low: at(0.01), high: at(0.99), log: log && at(0) >= 0 };
  const bend = (value: number) => (scale.log ? Math.log1p(value) : value);
  const width = bend(scale.high) - bend(scale.low);
  const steps: number[][] = Array.from({ length: STEPS }, () => []);
  const missing: number[] = [];
  values.forEach((value, row) => {
    if (value === null || !Number.isFinite(value)) {
      missing.push(row);
      return;
    }
    const share = width > 0 ? (bend(value) - bend(scale.low)) / width : 0.5;
    (steps[Math.min(Math.max(Math.floor(share * STEPS), 0), STEPS - 1)] as number[]).push(row);
  });
  const groups = steps.map((rows, step): Group => {
    return { name: String(step), color: along(palette.scale, (step + 0.5) / STEPS), symbol: "circle", rows };
  });
  return { groups: [...missed(missing, palette), ...groups.filter((group) => group.rows.length > 0)], scale };
}

function missed(rows: number[], palette: Palette): Group[] {
  return rows.length > 0 ? [{ name: null, color: palette.missing, symbol: "circle", rows }] : [];
}
