import { plural } from "../plural";
import type { Texts } from "../en";

export const common: Texts["common"] = {
  product: "Lisa",
  loading: "Chargement…",
  stillLoading: "C’est plus long que d’habitude : en attente du serveur.",
  retry: "Réessayer",
  cancel: "Annuler",
  close: "Fermer",
  save: "Enregistrer",
  delete: "Supprimer",
  edit: "Modifier",
  back: "Retour",
  copy: "Copier",
  copied: "Copié",
  more: "Afficher plus",
  search: "Rechercher",
  yes: "Oui",
  no: "Non",
  none: "Aucun",
  optional: "facultatif",
  required: "Ce champ est obligatoire.",
  requestId: (id) => `Requête ${id}`,
  seconds: (n) => plural("fr", n, "seconde", "secondes"),
  results: (n) => plural("fr", n, "résultat", "résultats"),
  dismiss: "Masquer",
};
