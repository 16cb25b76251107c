import type { Texts } from "../en";

export const documents: Texts["documents"] = {
  title: "Documents",
  lead: "Votre assistant répond d’après ces fichiers, avec la page.",
  empty: "Aucun document pour l’instant",
};
