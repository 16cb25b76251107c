import { defineConfig } from "vitest/config";

/** Tests in a browser, through the real local stack: `npm run e2e`. All files share one stack and one browser. */
export default defineConfig({
  test: {
    include: ["tests/**/*.e2e.ts"],
    environment: "node",
    // While one file waits for the changes feed, the other one works.
    maxWorkers: 2,
    testTimeout: 240_000,
    hookTimeout: 300_000,
    // Equal to the browser's timeout of waits. Vitest's default of one second is too short for waits on the changes feed.
    expect: { poll: { timeout: 30_000, interval: 100 } },
    globalSetup: ["tests/stack.ts"],
  },
});
