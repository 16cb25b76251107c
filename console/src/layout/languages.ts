import { showError } from "@/layout/toasts";
import { chooseLanguage, type Language } from "@/texts";

export const LANGUAGES: readonly Language[] = ["fr", "en"];

/** Loads the texts of the language; without a connection the present ones stay. */
export function setLanguage(language: string): void {
  chooseLanguage(language === "fr" ? "fr" : "en").catch(showError);
}
