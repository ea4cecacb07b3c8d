// The search box: suggestions while typing, as an ARIA combobox with a list.

import * as api from "./api";
import { fill, h } from "./dom";
import { brief, plural, title, words } from "./format";
import { go, nodeRoute } from "./router";
import { badge } from "./types";

/** Milliseconds without a key before the server is asked. */
const PAUSE = 150;
const SUGGESTIONS = 12;

export interface SearchBox {
  element: HTMLElement;
  /** Shows what was searched, when a search page is opened by its address. */
  show(q: string, type: string | null): void;
  /** Empties the box, unless somebody is typing. */
  clear(): void;
}

export function searchBox(): SearchBox {
  let hits: api.NodeName[] = [];
  let active = -1;
  let timer = 0;
  let asked: AbortController | undefined;

  const input = h("input", {
    id: "q",
    type: "search",
    role: "combobox",
    placeholder: "Search a gene, cell type, tissue …",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-label": "Search nodes",
    "aria-expanded": "false",
    "aria-controls": "hits",
    "aria-autocomplete": "list",
    oninput: later,
    onkeydown: key,
    onfocus: () => hits.length > 0 && open(true),
    onblur: () => open(false),
  });
  const types = h("select", { "aria-label": "Node type", onchange: later }, h("option", { value: "" }, "all types"));
  // The press on a suggestion must not take the focus from the box before the click comes.
  const list = h("ul", {
    id: "hits",
    role: "listbox",
    "aria-label": "Suggestions",
    onmousedown: (event: Event) => event.preventDefault(),
  });
  const status = h("div", { class: "visually-hidden", role: "status" });
  const element = h("form", { class: "search", role: "search", onsubmit: submit }, input, types, list, status);
  list.hidden = true;

  let schema: api.Schema | undefined;
  api.schema().then(
    (known) => {
      schema = known;
      const options = known.node_types.filter((type) => type.nodes > 0);
      types.append(...options.map((type) => h("option", { value: type.name }, `${words(type.name)} (${brief(type.nodes)})`)));
    },
    () => undefined, // The view in the middle of the page shows what is wrong.
  );

  function later(): void {
    clearTimeout(timer);
    asked?.abort();
    if (input.value.trim() === "") {
      hits = [];
      open(false);
      return;
    }
    timer = window.setTimeout(ask, PAUSE);
  }

  async function ask(): Promise<void> {
    asked = new AbortController();
    try {
      const answer = await api.search(input.value.trim(), types.value || null, SUGGESTIONS, asked.signal);
      hits = answer.hits;
      active = -1;
      draw(hits.length === 0 ? `Nothing is called “${input.value.trim()}”.` : null);
      status.textContent = hits.length === 0 ? "No suggestions" : plural(hits.length, "suggestion");
    } catch (error) {
      if (api.isAbort(error)) return;
      hits = [];
      draw(error instanceof Error ? error.message : String(error));
    }
  }

  function draw(note: string | null): void {
    const items = hits.map((hit, at) =>
      h(
        "li",
        { id: `hit${at}`, role: "option", "aria-selected": "false", onclick: () => choose(at) },
        h("span", { class: "hit-label" }, title(hit)),
        hit.label && hit.label !== hit.key ? h("code", {}, hit.key) : null,
        schema ? badge(schema, hit.type) : words(hit.type),
      ),
    );
    fill(list, ...items, note && h("li", { class: "note", role: "presentation" }, note));
    open(document.activeElement === input);
  }

  function open(shown: boolean): void {
    list.hidden = !shown;
    input.setAttribute("aria-expanded", String(shown));
    if (!shown) mark(-1);
  }

  function mark(at: number): void {
    active = at;
    [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === at)));
    if (at < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", `hit${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  function key(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && hits.length > 0) {
      event.preventDefault();
      open(true);
      // One place more than there are hits: the box itself.
      mark(((active + 1 + step + hits.length + 1) % (hits.length + 1)) - 1);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      open(false);
    }
  }

  function choose(at: number): void {
    const hit = hits[at];
    if (hit === undefined) return;
    leave();
    go(nodeRoute(hit.type, hit.key));
  }

  function submit(event: Event): void {
    event.preventDefault();
    if (active >= 0) return choose(active);
    const q = input.value.trim();
    if (q === "") return;
    leave();
    go({ view: "search", q, type: types.value || null });
  }

  function leave(): void {
    clearTimeout(timer);
    asked?.abort();
    hits = [];
    open(false);
    input.blur();
  }

  return {
    element,
    show(q, type) {
      input.value = q;
      types.value = type ?? "";
    },
    clear() {
      if (document.activeElement !== input) input.value = "";
    },
  };
}
