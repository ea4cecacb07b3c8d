// Colours that people with any colour vision can tell apart, for light and dark, and shapes beside them.
//
// Categories: Okabe and Ito's set (https://jfly.uni-koeln.de/color/) without black and yellow, which vanish on one of the
// two grounds, and wine and olive of Paul Tol's "muted" (https://sronpersonalpages.nl/~pault/).
// Numbers: viridis (https://bids.github.io/colormap/), nine of its steps.

export interface Palette {
  ground: string;
  /** Of cards on the ground. */
  card: string;
  text: string;
  muted: string;
  line: string;
  accent: string;
  /** Fills of categories and node types; used in order, then again with the next shape. */
  categories: readonly string[];
  /** What is missing, or of no interest now. */
  missing: string;
  /** From low to high, without the end that vanishes on this ground. */
  scale: readonly string[];
}

const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"] as const;

export const LIGHT: Palette = {
  ground: "#f5f7f9",
  card: "#ffffff",
  text: "#18212b",
  muted: "#55616e",
  line: "#b3bcc6",
  accent: "#0b5cad",
  categories: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999933"],
  missing: "#c3c9d0",
  scale: VIRIDIS.slice(0, 8),
};

export const DARK: Palette = {
  ground: "#0f1419",
  card: "#171d25",
  text: "#e4e9ee",
  muted: "#9fabb8",
  line: "#4b5763",
  accent: "#7ab8f5",
  categories: ["#3d9be0", "#ec7a2c", "#1fc294", "#e09bc3", "#f2b63c", "#8ad0f7", "#c9608f", "#bdbd55"],
  missing: "#4a545f",
  scale: VIRIDIS.slice(1),
};

const dark = globalThis.matchMedia?.("(prefers-color-scheme: dark)");

export function palette(): Palette {
  return dark?.matches ? DARK : LIGHT;
}

/** Calls whenever the person's scheme changes, until the signal. */
export function onScheme(listen: () => void, signal?: AbortSignal): void {
  dark?.addEventListener("change", listen, signal ? { signal } : {});
}

/** Hands the palette to the style sheet, as the variables `--ground` to `--accent`, `--missing` and `--c0` to `--c7`. */
export function dress(root: HTMLElement): void {
  const { categories, scale: _, ...plain } = palette();
  for (const [name, color] of Object.entries(plain)) root.style.setProperty(`--${name}`, color);
  categories.forEach((color, at) => root.style.setProperty(`--c${at}`, color));
}

/** Shapes of node types, by the names that cytoscape has for them. */
export const SHAPES = ["ellipse", "round-rectangle", "diamond", "triangle", "hexagon", "pentagon", "star"] as const;
export type Shape = (typeof SHAPES)[number];

/** Symbols of categories, by the names that echarts has for them. */
export const SYMBOLS = ["circle", "triangle", "diamond", "rect"] as const;
export type PointSymbol = (typeof SYMBOLS)[number];

/** The look of the `index`th node type; eight colours and seven shapes make 56 pairs. */
export function typeLook(index: number): { color: number; shape: Shape } {
  const at = Math.max(index, 0);
  return { color: at % LIGHT.categories.length, shape: SHAPES[at % SHAPES.length] as Shape };
}

/** The look of the category that is the `rank`th largest: colours first, then the next symbol. */
export function categoryLook(rank: number): { color: number; symbol: PointSymbol } {
  const colors = LIGHT.categories.length;
  return { color: rank % colors, symbol: SYMBOLS[Math.floor(rank / colors) % SYMBOLS.length] as PointSymbol };
}

/** The colour at `share` (0 to 1) of a scale. */
export function along(scale: readonly string[], share: number): string {
  const at = Math.min(Math.max(share, 0), 1) * (scale.length - 1);
  const from = Math.min(Math.floor(at), scale.length - 2);
  return mix(scale[from] as string, scale[from + 1] as string, at - from);
}

function mix(one: string, other: string, share: number): string {
  const channel = (color: string, at: number) => Number.parseInt(color.slice(1 + 2 * at, 3 + 2 * at), 16);
  const mixed = [0, 1, 2].map((at) => Math.round(channel(one, at) * (1 - share) + channel(other, at) * share));
  return `#${mixed.map((number) => number.toString(16).padStart(2, "0")).join("")}`;
}
