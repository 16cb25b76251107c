import "./styles.css";

import { noop, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { cursorQuery } from "@/api/changes";
import { queryClient } from "@/api/queries";
import { hasSession, session, startSession } from "@/api/session";
import { startTheme } from "@/lib/theme";
import { contextQuery } from "@/session/company";
import { startTexts } from "@/texts";

import { followSession, preloadPage, router } from "./router";

/**
 * Begins to ask for what every page of a company waits for, while the parts of the page are on their way. The page asks
 * again for what fails here, and shows the error.
 */
function preloadCompany(): void {
  const isOfCompany = session.get().status === "signed-in" && !window.location.pathname.startsWith("/admin");
  if (!isOfCompany) return;
  queryClient.query(contextQuery).catch(noop);
  queryClient.query(cursorQuery).catch(noop);
}

/** Restores theme, language and session, then renders: nothing is shown that the next moment takes back. */
async function start(): Promise<void> {
  startTheme();
  const texts = startTexts();
  if (hasSession()) preloadPage();
  await Promise.all([texts, startSession().then(preloadCompany)]);
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
