import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

// A test that takes seconds on a quiet machine must not fail on a busy one: the limit only ends a test that hangs.
export default defineConfig({
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  test: { include: ["src/**/*.test.ts", "src/**/*.test.tsx"], environment: "node", testTimeout: 30_000 },
});
