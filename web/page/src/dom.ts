// Elements from data. Text enters as text nodes only, never as markup, so that nothing in a store can become code.

type Child = Node | string | number | null | undefined | false;
type Attribute = string | number | boolean | null | undefined | ((event: never) => void);

/** An element: `on…` attributes are listeners, `true` is an empty attribute, `false`, null and undefined are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Record<string, Attribute> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  set(element, attributes);
  append(element, children);
  return element;
}

/** The same for SVG. */
export function svg(name: string, attributes: Record<string, Attribute> = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  set(element, attributes);
  append(element, children);
  return element;
}

/** Replaces all that an element holds. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  append(element, children);
}

export function loading(what: string): HTMLElement {
  return h(
    "p",
    { class: "loading", role: "status" },
    h("span", { class: "spinner", "aria-hidden": "true" }),
    `Loading ${what} …`,
  );
}

/** A `<select>` of names; the listener gets the chosen one. */
export function select(
  label: string,
  options: readonly { value: string; text: string }[],
  chosen: string,
  listen: (value: string) => void,
): HTMLElement {
  const box = h(
    "select",
    { onchange: (event: Event) => listen((event.target as HTMLSelectElement).value) },
    ...options.map(({ value, text }) => h("option", { value, selected: value === chosen }, text)),
  );
  return h("label", { class: "field" }, h("span", {}, label), box);
}

/**
 * A table that scrolls sideways where there is no room. A heading with `#` before it stands over numbers, one with `?` gives
 * way on a narrow screen.
 */
export function table(headings: readonly string[], rows: readonly HTMLElement[], label: string): HTMLElement {
  const kinds: Record<string, string> = { "#": "number", "?": "optional" };
  const head = headings.map((text) => {
    const kind = kinds[text.charAt(0)];
    return h("th", { scope: "col", class: kind }, kind ? text.slice(1) : text);
  });
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": label, tabindex: 0 },
    h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)),
  );
}

function set(element: Element, attributes: Record<string, Attribute>): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(typeof child === "number" ? String(child) : child);
  }
}
