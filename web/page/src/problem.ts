// Errors, as the API says them, with its suggestions to follow.

import { ApiError } from "./api";
import { h } from "./dom";
import { format, type Route } from "./router";

/** Where a suggestion leads; null when it is only text. */
export type Follow = (suggestion: string, error: ApiError) => Route | null;

export function problem(error: unknown, follow: Follow = () => null): HTMLElement {
  if (!(error instanceof ApiError)) {
    console.error(error);
    const what = error instanceof Error ? error.message : String(error);
    return h("div", { class: "problem", role: "alert" }, h("p", {}, `The page failed: ${what}`), retry());
  }
  const links = error.suggestions.map((suggestion) => {
    const route = follow(suggestion, error);
    return h(
      "li",
      {},
      route ? h("a", { class: "chip", href: format(route) }, suggestion) : h("span", { class: "chip" }, suggestion),
    );
  });
  const facts = [error.status ? String(error.status) : null, error.code, error.parameter && `parameter ${error.parameter}`];
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", {}, error.message),
    links.length > 0 && h("p", { class: "small" }, "Nearest known:"),
    links.length > 0 && h("ul", { class: "chips" }, ...links),
    h("p", { class: "small muted" }, facts.filter(Boolean).join(" · ")),
    (error.status === 0 || error.status >= 500) && retry(),
  );
}

function retry(): HTMLElement {
  const again = () => window.dispatchEvent(new HashChangeEvent("hashchange"));
  return h("p", {}, h("button", { type: "button", onclick: again }, "Try again"));
}
