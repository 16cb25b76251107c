// Prints what the browser loads for each page, and fails when the first page loads more JavaScript than it may.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const MAX_FIRST_PAGE_BYTES = 200_000;
/** Pages that somebody may open first: by an invitation, at the start, in the morning. */
const FIRST_PAGES = ["sign-in", "sign-up", "invitation", "home", "inbox", "unanswered"];
const PUBLIC_PAGES = ["sign-in", "sign-up", "invitation", "forgot-password", "password-reset"];

const manifest = JSON.parse(readFileSync("dist/.vite/manifest.json", "utf8"));
const sizes = new Map();

function gzipSize(file) {
  if (!sizes.has(file)) sizes.set(file, gzipSync(readFileSync(`dist/${file}`)).length);
  return sizes.get(file);
}

/** The script of a manifest's entry with everything that it imports at once. */
function scriptsOf(key, found = new Set()) {
  const entry = manifest[key];
  if (entry === undefined || found.has(entry.file)) return found;
  found.add(entry.file);
  for (const imported of entry.imports ?? []) scriptsOf(imported, found);
  return found;
}

/** The texts that a page's route loads with it. */
function textsOf(page) {
  const route = readFileSync(`src/pages/${page}/route.ts`, "utf8");
  const [, names = ""] = /lazyPage\(\(\) => import\("\.\/page"\), "\w+"((?:, "\w+")*)\)/.exec(route) ?? [];
  const known = [...names.matchAll(/"(\w+)"/g)].map(([, name]) => name);
  if (known.length === 0) throw new Error(`the route of ${page} names no texts`);
  return known;
}

const total = (files) => [...files].reduce((sum, file) => sum + gzipSize(file), 0);
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1).padStart(7)} kB`;
const pages = Object.keys(manifest).filter((key) => /^src\/pages\/[^/]+\/page\.tsx$/.test(key)).sort();

let isTooLarge = false;
console.log("JavaScript of each page, gzip, with the layout and the larger of the two languages:");
for (const page of pages) {
  const name = page.split("/")[2];
  const files = scriptsOf("index.html");
  scriptsOf(PUBLIC_PAGES.includes(name) ? "src/layout/public-layout.tsx" : "src/layout/app-layout.tsx", files);
  scriptsOf("src/texts/fr.ts", files);
  for (const texts of textsOf(name)) scriptsOf(`src/texts/fr/${texts}.ts`, files);
  scriptsOf(page, files);
  const bytes = total(files);
  const exceeds = FIRST_PAGES.includes(name) && bytes > MAX_FIRST_PAGE_BYTES;
  isTooLarge ||= exceeds;
  console.log(`${kilobytes(bytes)}  ${name}${exceeds ? `  more than ${MAX_FIRST_PAGE_BYTES / 1000} kB` : ""}`);
}
if (isTooLarge) process.exitCode = 1;
