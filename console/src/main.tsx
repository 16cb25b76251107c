import "./styles.css";

import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { queryClient } from "@/api/queries";
import { startSession } from "@/api/session";
import { startTheme } from "@/lib/theme";
import { startTexts } from "@/texts";

import { followSession, router } from "./router";

/** Restores theme, language and session, then renders: nothing is shown that the next moment takes back. */
async function start(): Promise<void> {
  startTheme();
  await Promise.all([startTexts(), startSession()]);
  followSession();
  const root = document.getElementById("root");
  if (root === null) throw new Error("index.html has no #root");
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}

void start();
