// How values are written for the eye.

import type { AttributeInfo, Interval, NodeName, Value } from "./api";

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/** A count in full: 1,532. */
export function count(number: number): string {
  return WHOLE.format(number);
}

/** A count in brief: 2.7M. */
export function brief(number: number): string {
  return Math.abs(number) < 10_000 ? WHOLE.format(number) : SHORT.format(number);
}

/** `1 node`, `2 nodes`. */
export function plural(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A real number with four significant digits. */
export function real(number: number): string {
  if (Number.isInteger(number) && Math.abs(number) < 1e15) return WHOLE.format(number);
  const size = Math.abs(number);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) return number.toExponential(2);
  return new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 }).format(number);
}

/** A size in bytes with a binary unit. */
export function bytes(number: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? number : number.toFixed(number < 10 ? 1 : 0)} ${units[unit]}`;
}

/** An attribute's value with its unit; null, which is missing and never 0, has no text. */
export function value(of: Value | undefined, info?: AttributeInfo): string | null {
  if (of === null || of === undefined) return null;
  const unit = info?.unit ? ` ${info.unit}` : "";
  // Years and days since some day are numbers without thousands.
  if (typeof of === "number") return (info?.kind === "time" ? String(of) : real(of)) + unit;
  if (typeof of === "boolean") return of ? "yes" : "no";
  if (typeof of === "string") return of;
  if (Array.isArray(of)) return vector(of);
  return interval(of);
}

/** `chr17:7,661,778–7,687,550 (-)`; a strand that is not known (`.`) is left out. */
export function interval(of: Interval): string {
  const strand = of.strand && of.strand !== "." ? ` (${of.strand})` : "";
  return `${of.contig}:${count(of.start)}–${count(of.end)}${strand}`;
}

function vector(numbers: readonly number[]): string {
  const first = numbers.slice(0, 4).map(real).join(", ");
  return `[${first}${numbers.length > 4 ? `, … ${numbers.length} numbers` : ""}]`;
}

/** A node's label, or its key where it has none. */
export function title(node: Pick<NodeName, "key" | "label">): string {
  return node.label || node.key;
}

/** A schema's name for the eye: `cell_type` is `cell type`. */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}

export function shorten(text: string, most: number): string {
  const letters = [...text];
  return letters.length <= most ? text : `${letters.slice(0, most - 1).join("")}…`;
}
