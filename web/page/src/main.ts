// The frame of the page: a bar that stays, and below it the view of the address.

import { health } from "./api";
import { fill, h } from "./dom";
import { embeddingView } from "./embedding";
import { nodeView } from "./node";
import { overview } from "./overview";
import { dress, onScheme } from "./palette";
import { results } from "./results";
import { embeddingRoute, format, parse, type Route } from "./router";
import { searchBox } from "./search";

const root = document.documentElement;
dress(root);
onScheme(() => dress(root));

const main = document.getElementById("main") as HTMLElement;
const bar = document.getElementById("bar") as HTMLElement;
const search = searchBox();
const tabs: [Route["view"], HTMLAnchorElement][] = [
  ["overview", h("a", { href: format({ view: "overview" }) }, "Overview")],
  ["embedding", h("a", { href: format(embeddingRoute()) }, "Embeddings")],
];
const version = h("span", { class: "version muted small" });
fill(
  bar,
  h("a", { class: "brand", href: "#/" }, h("img", { src: "./favicon.svg", alt: "", width: 24, height: 24 }), "Relata"),
  search.element,
  h("nav", { "aria-label": "Pages" }, ...tabs.map(([, link]) => link), version),
);
health().then(
  (answer) => {
    version.textContent = `v${answer.version}`;
  },
  () => undefined, // The view says that the server is away.
);

let current: AbortController | undefined;
let shown: Route | undefined;

async function show(): Promise<void> {
  current?.abort();
  current = new AbortController();
  const { signal } = current;
  const route = parse(location.hash);
  const before = shown;
  shown = route;
  const focus = main.contains(document.activeElement) ? document.activeElement?.getAttribute("data-focus") : null;
  for (const [view, link] of tabs) {
    if (view === route.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!(before?.view === "node" && route.view === "node" && before.type === route.type && before.key === route.key))
    window.scrollTo(0, 0);
  if (before?.view !== route.view) main.replaceChildren();
  document.title = "Relata";
  if (route.view !== "search") search.clear();
  main.setAttribute("aria-busy", "true");
  await view(route, signal);
  if (signal.aborted) return;
  main.removeAttribute("aria-busy");
  if (before && document.activeElement === document.body) main.focus({ preventScroll: true });
  if (focus) main.querySelector<HTMLElement>(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
}

function view(route: Route, signal: AbortSignal): Promise<void> {
  switch (route.view) {
    case "overview":
      return overview(main, signal);
    case "search":
      search.show(route.q, route.type);
      document.title = `${route.q} · Relata`;
      return results(main, route.q, route.type, signal);
    case "node":
      return nodeView(main, route, signal);
    case "embedding":
      return embeddingView(main, route, signal);
    case "unknown":
      fill(
        main,
        h("h1", {}, "No such page"),
        h("p", {}, `Nothing is at ${route.path}. `, h("a", { href: "#/" }, "To the overview")),
      );
      return Promise.resolve();
  }
}

window.addEventListener("hashchange", () => void show());
void show();
