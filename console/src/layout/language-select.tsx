import { useId } from "react";

import { useLanguage, useTexts } from "@/texts";
import { Select } from "@/ui/input";

import { LANGUAGES, setLanguage } from "./languages";

export function LanguageSelect() {
  const { layout } = useTexts();
  const language = useLanguage();
  const id = useId();
  return (
    <div>
      <label htmlFor={id} className="sr-only">
        {layout.language}
      </label>
      <Select id={id} value={language} onChange={(event) => setLanguage(event.target.value)} className="w-auto">
        {LANGUAGES.map((known) => (
          <option key={known} value={known} lang={known}>
            {layout.languages[known]}
          </option>
        ))}
      </Select>
    </div>
  );
}
