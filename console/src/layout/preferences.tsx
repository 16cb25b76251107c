import { chooseTheme, type Theme, theme } from "@/lib/theme";
import { useStore } from "@/lib/store";
import { useLanguage, useTexts } from "@/texts";
import { MenuLabel, MenuRadioGroup, MenuRadioItem } from "@/ui/menu";

import { LANGUAGES, setLanguage } from "./languages";

const THEMES: readonly Theme[] = ["system", "light", "dark"];

function setTheme(choice: string): void {
  chooseTheme(THEMES.find((known) => known === choice) ?? "system");
}

/** Language and theme as parts of the account's menu. */
export function PreferenceItems() {
  const { layout } = useTexts();
  return (
    <>
      <MenuLabel>{layout.language}</MenuLabel>
      <MenuRadioGroup value={useLanguage()} onValueChange={setLanguage}>
        {LANGUAGES.map((known) => (
          <MenuRadioItem key={known} value={known} lang={known}>
            {layout.languages[known]}
          </MenuRadioItem>
        ))}
      </MenuRadioGroup>
      <MenuLabel>{layout.theme}</MenuLabel>
      <MenuRadioGroup value={useStore(theme)} onValueChange={setTheme}>
        {THEMES.map((known) => (
          <MenuRadioItem key={known} value={known}>
            {layout.themes[known]}
          </MenuRadioItem>
        ))}
      </MenuRadioGroup>
    </>
  );
}
