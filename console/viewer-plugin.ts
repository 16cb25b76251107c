/**
 * Builds viewer.html, the frame that draws a stranger's PDF. Its origin is opaque, in which a module script loads only with
 * CORS headers; so its script is one classic file, by a build of its own.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build, type Plugin } from "vite";

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const html = () => readFileSync(file("./src/viewer/viewer.html"), "utf8");
const style = () => readFileSync(file("./src/viewer/viewer.css"), "utf8");

async function bundle(minify: boolean): Promise<string> {
  const result = await build({
    configFile: false,
    publicDir: false,
    logLevel: "warn",
    build: {
      write: false,
      minify,
      target: "es2023",
      lib: { entry: file("./src/viewer/main.ts"), formats: ["iife"], name: "viewer" },
    },
  });
  const outputs = (Array.isArray(result) ? result : [result]).flatMap((each) => ("output" in each ? each.output : []));
  const [script, ...others] = outputs.filter((output) => output.type === "chunk");
  if (script === undefined || others.length > 0) throw new Error("the viewer is not one script");
  return script.code;
}

export function pdfViewer(): Plugin {
  return {
    name: "pdf-viewer",
    async generateBundle() {
      const script = this.emitFile({ type: "asset", name: "viewer.js", source: await bundle(true) });
      const css = this.emitFile({ type: "asset", name: "viewer.css", source: style() });
      const source = html().replace("{script}", `/${this.getFileName(script)}`).replace("{style}", `/${this.getFileName(css)}`);
      this.emitFile({ type: "asset", fileName: "viewer.html", source });
    },
    configureServer(server) {
      let script: Promise<string> | null = null;
      const serve = (path: string, type: string, content: () => string | Promise<string>) => {
        server.middlewares.use(path, (_request, response, next) => {
          Promise.resolve(content()).then((text) => response.setHeader("content-type", type).end(text), next);
        });
      };
      serve("/viewer.html", "text/html; charset=utf-8", () => html().replace("{script}", "/viewer.js").replace("{style}", "/viewer.css"));
      serve("/viewer.css", "text/css", style);
      serve("/viewer.js", "text/javascript", () => (script ??= bundle(false)));
    },
  };
}
