import type { Texts } from "../en";

export const navigation: Texts["navigation"] = {
  start: "Première heure",
  inbox: "Messages",
  unanswered: "Sans réponse",
  dashboard: "Tableau de bord",
  orders: "Commandes",
  products: "Produits",
  documents: "Documents",
  playground: "Essais",
  activities: "Activité",
  settings: "Réglages",
  admin: "Administration",
  profile: "Votre profil",
};
