import { plural } from "../plural";
import type { Texts } from "../en";

export const layout: Texts["layout"] = {
  skip: "Aller au contenu",
  navigation: "Pages",
  menu: "Menu",
  account: "Compte",
  signOut: "Se déconnecter",
  language: "Langue",
  languages: { fr: "Français", en: "English" },
  theme: "Apparence",
  themes: { light: "Claire", dark: "Sombre", system: "Comme le système" },
  company: "Entreprise",
  switchTo: "Ouvrir une autre entreprise",
  suspendedShort: "Suspendue",
  roles: { owner: "Propriétaire", support: "Support" },
  live: "Vend (LIVE)",
  rag: "Répond d’après les documents",
  offline: "Pas de connexion. Ce que vous écrivez est gardé, et la page reprend dès le retour de la connexion.",
  notifications: "Notifications",
  paywall: {
    title: "Votre formule est épuisée",
    choose: "Choisir une formule",
    askOwner: "Demandez au propriétaire de l’entreprise de choisir une formule.",
  },
  waiting: (n, hasMore) =>
    hasMore ? `plus de ${n} conversations attendent` : plural("fr", n, "conversation attend", "conversations attendent"),
  suspended: "Cette entreprise est suspendue",
  deleted: {
    title: "Cette entreprise a été supprimée",
    otherTitle: "Votre propre entreprise a été supprimée",
    since: (at) => `Elle a été supprimée le ${at}.`,
    text: "L’assistant ne répond à personne.",
    until: (time) => `Jusqu’au ${time}, tout peut être restauré. Ensuite, tout disparaît pour de bon.`,
    subscription: "L’abonnement a été résilié, et ne revient pas : choisissez ensuite une formule.",
    restore: "Tout restaurer",
    restored: "Tout est de nouveau là.",
    askOwner: "Seul un propriétaire peut la restaurer. Demandez-lui de se connecter.",
  },
  noCompany: "Vous n’appartenez encore à aucune entreprise",
  noCompanyHint: "Ouvrez l’invitation qu’un collègue vous a envoyée, ou inscrivez-vous avec votre propre entreprise.",
  shortcuts: "Raccourcis clavier",
};
