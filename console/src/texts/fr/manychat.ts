import type { Texts } from "../en";

export const manychat: Texts["manychat"] = {
  needsTitle: "Il vous faut l’offre Pro de ManyChat.",
  needs:
    "Elle comprend l’action « External Request », par laquelle les messages arrivent chez Lisa, et la clé d’API. Votre numéro WhatsApp doit aussi être connecté dans ManyChat. Vous copiez et collez seulement ; il n’y a rien à programmer.",
  secret: "Secret",
  secretLead:
    "Le secret est un mot de passe entre ManyChat et Lisa : grâce à lui, Lisa sait qu’un message est pour votre entreprise. Vous le collez dans ManyChat à l’étape 3. Ne le montrez à personne d’autre.",
  keyLead:
    "Avec la clé, Lisa envoie ses réponses par votre compte ManyChat. Dans ManyChat, ouvrez « Settings », puis « API », et appuyez sur « Generate your API key ». Copiez la clé, et collez-la ici.",
  request: {
    title: "Ajouter l’« External Request » dans ManyChat",
    open: "Dans ManyChat, ouvrez l’automatisation qui démarre quand un client écrit sur WhatsApp, par exemple la « Default Reply » de WhatsApp. Elle s’affiche dans le « Flow Builder ».",
    action: "Ajoutez-y une « Action », et choisissez « External Request » parmi les « Dev Tools ». Cette action transmet chaque message à Lisa.",
    type: "« Request type » : choisissez POST. Cela veut dire que ManyChat envoie quelque chose.",
    url: "« Request URL » : collez l’adresse de Lisa, à laquelle ManyChat envoie.",
    headers:
      "« Headers » : ajoutez ces deux lignes. C’est comme le dehors d’une enveloppe : la première dit qui envoie, la seconde comment la lettre est écrite.",
    headerName: "Nom, à gauche",
    headerValue: "Valeur, à droite",
    secretOfStep1: "le secret de l’étape 1",
    body: "« Body » : collez ce texte tel quel. C’est la lettre : ManyChat met le message, le nom et le numéro du client à la place des mots entre accolades.",
    bodyHints: [
      "N’écrivez pas de guillemets autour des accolades. ManyChat les écrit lui-même : c’est le rôle de to_json:true.",
      "Si ManyChat ne connaît pas un nom entre accolades, choisissez ce champ avec le sélecteur de champs de ManyChat, et écrivez après son nom ce qui le suit ici, par exemple |to_json:true.",
      "La ligne avec « id » reste la première.",
    ],
    mapping: "« Response mapping » : laissez-le vide. Lisa envoie ses réponses à WhatsApp elle-même.",
    test: "Appuyez sur « Test the request ». Si ManyChat affiche 200, le message est arrivé chez Lisa. Enregistrez l’automatisation, et activez-la.",
  },
};
