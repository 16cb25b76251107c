import { fileURLToPath } from "node:url";

import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

import headers from "./security-headers.json" with { type: "json" };
import { pdfViewer } from "./viewer-plugin.ts";

/** The running stack (`cargo dev`) to which calls of the API go. */
const api = process.env["LISA_API"] ?? "http://127.0.0.1:9000";
/** The origin that takes large uploads, which the content security policy must name. */
const upload = process.env["LISA_UPLOAD_ORIGIN"] ?? "";

const proxy = Object.fromEntries(
  ["/api", "/health", "/docs", "/openapi.json"].map((path) => [path, { target: api, changeOrigin: false }]),
);

/** Sends the headers of production with the built files. The dev server cannot: its hot reload needs inline code. */
function securityHeaders(): Plugin {
  return {
    name: "security-headers",
    configurePreviewServer(server) {
      server.middlewares.use((request, response, next) => {
        const path = (request.url ?? "/").split("?")[0] ?? "/";
        const set = path === "/viewer.html" ? headers["viewer.html"] : headers.files;
        for (const [name, value] of Object.entries(set)) response.setHeader(name, value.replace("{upload}", upload));
        next();
      });
    },
  };
}

export default defineConfig({
  plugins: [react(), tailwindcss(), securityHeaders(), pdfViewer()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: { port: 5173, strictPort: true, host: "127.0.0.1", proxy },
  preview: { port: 5174, strictPort: true, host: "127.0.0.1", proxy },
  build: {
    target: "es2023",
    manifest: true,
    // A data: URL would need a wider content security policy for fonts and scripts.
    assetsInlineLimit: 0,
    // The polyfill is inline code in old browsers only, and those are not supported.
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // Dozens of parts of some hundred bytes would each cost a round trip: what many pages share comes as one file. Forms
        // and menus stay apart, as the pages that open first do without them.
        codeSplitting: {
          groups: [{ name: "shared", minShareCount: 24, test: (id) => !/react-hook-form|@hookform|\/zod\/|radix-ui|\/texts\//.test(id) }],
        },
      },
    },
  },
});
