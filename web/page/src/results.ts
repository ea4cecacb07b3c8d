// All that a search found, for those who pressed Enter.

import * as api from "./api";
import { fill, h, loading } from "./dom";
import { count, title, words } from "./format";
import { problem } from "./problem";
import { format, nodeRoute } from "./router";
import { badge } from "./types";

const MOST = 100;

export async function results(main: HTMLElement, q: string, type: string | null, signal: AbortSignal): Promise<void> {
  fill(main, h("h1", {}, "Search"), loading("what matches"));
  const within = type ? ` among ${words(type)} nodes` : "";
  try {
    const [schema, { hits }] = await Promise.all([api.schema(), api.search(q, type, MOST, signal)]);
    if (signal.aborted) return;
    const found = hits.length === MOST ? `The first ${MOST}` : count(hits.length);
    fill(
      main,
      h("h1", {}, `${hits.length === 0 ? "Nothing" : found} for “${q}”${within}`),
      hits.length === 0 &&
        h("p", { class: "muted" }, "Names match from their start, and by identifier. Try fewer letters, or all types."),
      h(
        "ul",
        { class: "results" },
        ...hits.map((hit) =>
          h(
            "li",
            {},
            h("a", { href: format(nodeRoute(hit.type, hit.key)) }, title(hit)),
            hit.label && hit.label !== hit.key ? h("code", {}, hit.key) : null,
            badge(schema, hit.type),
          ),
        ),
      ),
    );
  } catch (error) {
    if (api.isAbort(error)) return;
    fill(
      main,
      h("h1", {}, "Search"),
      problem(error, (suggestion, { code }) => (code === "unknown_type" ? { view: "search", q, type: suggestion } : null)),
    );
  }
}
