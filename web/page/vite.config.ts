import { defineConfig } from "vite";

export default defineConfig({
  // Relative addresses: the page also works below a proxy's path.
  base: "./",
  build: {
    target: "es2022",
    // Nothing inlined, no inline scripts: the page lives under a strict content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The two drawing libraries are chunks of their own, loaded when a view needs them.
    chunkSizeWarningLimit: 700,
    reportCompressedSize: false,
  },
  // `npm run dev` shows the page of a server that runs beside it: relata-serve --store S.
  server: {
    proxy: { "/v1": "http://127.0.0.1:7373", "/health": "http://127.0.0.1:7373" },
  },
});
