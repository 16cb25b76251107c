//! Words of customer service in French and English that mean the same to a customer. The lists were made by hand from
//! the field's vocabulary. They serve questions in either language about documents in either language.

use std::{collections::HashMap, sync::LazyLock};

/// Groups of words with a common meaning, folded. A word with `*` stands for all words that begin with it; it has at
/// least [`MIN_PREFIX_CHARS`] characters.
const GROUPS: &[&str] = &[
    // Returns, exchanges, refunds.
    "retour retours retourn* renvoyer renvoye* renvoi* renvoie* rendre rend rends rendu* rapporter rapporte* reprise* repris \
     reprend* reprenez retract* return*",
    "rembours* refund* reimburs*",
    "echang* exchang* swap*",
    "preven* previen* averti* inform* signal* appel* notif* warn* call calls",
    "annul* cancel* resili* desist*",
    "modifi* changer changement* amend* change changing",
    // Delivery.
    "livraison* livrer livrez livre livrent livreur* livrons livree* livres expedi* envoi envois envoyer envoye* acheminement* \
     transport* coursier* ship shipping ships shipped shipment* deliver* dispatch* courier*",
    "colis paquet* parcel* package packages packet*",
    "recuper* retirer retrait* retire* enlev* ramass* chercher collect* pickup pick",
    "domicile maison home house chez",
    "suivi suivre tracking track",
    "etranger* international* abroad overseas",
    // Money.
    "payer payez paye payes payons payable* payment* paying paid pay paiement* regl* verser versement* settle*",
    "prix tarif* cout couts coute coutent couter montant* price* cost costs costing fee fees rate rates frais facture* \
     facturation",
    "mensualite* tranche* echeanc* echelonne* fois versement* mensuel* monthly instal* spread fraction*",
    "acompte* avance* depot depots caution* arrhes versement* deposit* upfront",
    "reduction* remise* rabais promo* solde* soldes discount* reduc* sale voucher*",
    "gratuit* offert* free supplement* payant* payante*",
    "especes cash liquide",
    "carte cartes cb visa mastercard card cards bancaire* bleue",
    "cheque* check cheques",
    "facture* recu recus ticket* justificatif* invoice* receipt* bill",
    "especes cash liquide mobile money wave orange momo mtn moov",
    // Goods.
    "article* produit* item items product* goods marchandise*",
    "command* achat* achet* order orders ordering ordered purchas* buy buying bought",
    "cadeau* gift* bon bons voucher*",
    "garanti* warrant* guarant*",
    "panne pannes casse* cassee* defect* defaut* abim* endommag* domma* brise* broken damage* fault* defective",
    "repar* depann* repair* fix fixed fixing sav",
    "montage monter montent install* assembl* pose poser",
    "disponible* dispo stock available availability",
    "neuf occasion",
    // Places and times.
    "boutique* magasin* shop shops store stores showroom agence* branch* outlet*",
    "entrepot* depot depots warehouse* stock",
    "adresse* situe* situ* localis* trouver trouve trouvez trouvent lieu* address* located location* where",
    "ouvert* ouvre ouvrez ouvrent ouvrir ouverture* horaire* accueil* recoit recevons open opens opened opening",
    "ferm* close closes closed closing",
    "telephon* tel phone* numero* num appel* call calls joindre joignable* contact* ligne standard ring whatsapp composez",
    "courriel* mail mails email*",
    "parking* garer gare stationn* park parked",
    "delai* duree temps attente jours",
    "debut* commenc* start* begin* rentree*",
    "fin finir finissent finit termin* end ends finish*",
    "weekend* samedi samedis saturday saturdays",
    "weekend* dimanche dimanches sunday sundays",
    "lundi lundis monday mondays",
    "mardi mardis tuesday tuesdays",
    "mercredi mercredis wednesday wednesdays",
    "jeudi jeudis thursday thursdays",
    "vendredi vendredis friday fridays",
    "entier* complet* full whole",
    // People and services.
    "rendez rdv reserv* bloquer book booking booked appointment* reservation*",
    "inscri* enrol* regist* admission* enregistr*",
    "enfant* gamin* gosse* bebe* mineur* fils fille filles child* kid kids junior*",
    "adulte* adult* grown",
    "famil* fratrie proche* parent* relative*",
    "malade* patient* patiente*",
    "visite* visiteur* visit* voir",
    "medecin* docteur* consult* doctor* gp generaliste*",
    "pediatr* paediatr*",
    "dentiste* dentaire* dental dentist* tooth teeth dent dents",
    "hopital* cliniqu* hospital* clinic* surgery practice cabinet",
    "urgence* urgent* emergenc*",
    "assur* insur* mutuel*",
    "document* papier* piece pieces dossier* attestation* form paper*",
    "resultat* result*",
    "analyse* prelevement* examen* prise test tests",
    "ecole* etablissement* scolaire* school*",
    "cours classe* lesson* class",
    "scolarite* ecolage* tuition",
    "uniforme* tenue* uniform*",
    "vetement* habit habits linge fringue* clothe* garment* laundry",
    "costume* costard* suit suits",
    "nettoy* lav* clean* wash*",
    "cantine* repas dejeuner* manger menu* canteen* meal* lunch",
    "bus car cars navette* ramassage transport* shuttle*",
    "navette* transfert* transfer* shuttle* chercher pickup pick recuper*",
    "louer loue louez louent location* loca rent rents rental* renting hire hired hiring",
    "conserv* garde gardes garder gardez gardent gardons gardee gardees keep kept hold held stor*",
    "manqu* absen* rater rate miss missed",
    "allergi* allergen* gluten intoleran*",
    "chien* dog dogs animal* animaux pet pets",
    "chambre* room rooms",
    "nuit* night*",
    "wifi internet connexion*",
    // Everyday short forms.
    "frigo* refrigerat* fridge*",
    "tele television* televis* tv tvs",
    "clim climatis* split",
    "telephone* portable* mobile* smartphone* phone* cellphone*",
    "ordi ordinateur* pc laptop* computer*",
    "voiture* auto vehicule* car cars",
    "velo* bicycl* bike bikes vtt",
    "pneu* tyre* tire tires",
    "crevaison* creve crevee crevees creves puncture* flat",
    "personne personnes pers person persons people",
    "chaussure* shoe shoes godasse*",
    "poids peser pese lourd weigh* heavy weight*",
    "taille* dimension* size* grandeur mesure*",
    "autonomie last lasts dure durer dure duration runtime",
    "charge* charging recharg*",
];

/// Phrases of several words, folded, and the listed word that they mean.
const PHRASES: &[(&str, &str)] = &[
    ("frais de port", "livraison"),
    ("flat tyre", "puncture"),
    ("flat tire", "puncture"),
    ("pneu creve", "crevaison"),
    ("petite voiture", "citadine"),
    ("e bike", "electric bike"),
    ("e bikes", "electric bike"),
    ("pour un couple", "2 personnes"),
    ("en couple", "2 personnes"),
    ("a deux", "2 personnes"),
    ("for two", "2 people"),
    ("for a couple", "2 people"),
    ("bringing it back", "return"),
    ("bring it back", "return"),
    ("plusieurs fois", "echelonnement"),
    ("plusieurs mois", "echelonnement"),
    ("in several payments", "instalments"),
    ("chez moi", "domicile"),
    ("at home", "home"),
    ("changer d avis", "retour"),
    ("send back", "return"),
    ("bring back", "return"),
    ("give back", "return"),
    ("money back", "refund"),
    ("faire parvenir", "renvoyer"),
    ("laisser tomber", "annuler"),
    ("moins cher", "remise"),
    ("a jeun", "jeun"),
    ("mon argent", "remboursement"),
    ("my money", "refund"),
];

/// A word of each group that names a service around a purchase: what it costs, or that it is free, says nothing about
/// the price of the goods.
const SERVICES: &[&str] = &["retour", "echange", "livraison", "reparation", "montage", "annuler", "modifier"];

/// Replaces the phrases of several words in a folded text by the words that they mean.
pub(super) fn replace_phrases(folded: &str) -> String {
    let mut replaced = format!(" {folded} ");
    for (phrase, word) in PHRASES {
        replaced = replaced.replace(&format!(" {phrase} "), &format!(" {word} "));
    }
    replaced.trim().to_owned()
}

/// Returns the groups of the listed word that `is_meant` accepts, for a word typed with a mistake.
pub(super) fn groups_of_similar(is_meant: impl Fn(&str) -> bool) -> Vec<Group> {
    let mut listed: Vec<_> = INDEX.words.iter().filter(|(word, _)| is_meant(word)).collect();
    listed.sort_unstable();
    listed.first().map(|(_, groups)| (*groups).clone()).unwrap_or_default()
}

/// Fewest characters of a listed beginning. Shorter beginnings are those of unrelated words.
const MIN_PREFIX_CHARS: usize = 3;

/// Number of a group of synonyms.
pub(super) type Group = usize;

struct Index {
    words: HashMap<&'static str, Vec<Group>>,
    prefixes: HashMap<&'static str, Vec<Group>>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index { words: HashMap::new(), prefixes: HashMap::new() };
    for (group, words) in GROUPS.iter().enumerate() {
        for word in words.split_whitespace() {
            match word.strip_suffix('*') {
                Some(prefix) => index.prefixes.entry(prefix).or_default().push(group),
                None => index.words.entry(word).or_default().push(group),
            }
        }
    }
    index
});

/// Returns the groups that a folded word belongs to.
pub(super) fn groups(word: &str) -> Vec<Group> {
    let mut found = INDEX.words.get(word).cloned().unwrap_or_default();
    for (end, _) in word.char_indices().skip(MIN_PREFIX_CHARS).chain([(word.len(), ' ')]) {
        found.extend(INDEX.prefixes.get(&word[..end]).into_iter().flatten());
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns the groups of a folded word that name a service around a purchase, such as delivery or repair.
pub(super) fn services(word: &str) -> Vec<Group> {
    groups(word).into_iter().filter(|group| SERVICE_GROUPS.contains(group)).collect()
}

static SERVICE_GROUPS: LazyLock<Vec<Group>> =
    LazyLock::new(|| SERVICES.iter().flat_map(|service| groups(service)).collect());

/// Returns true for a word of some group.
pub(super) fn is_listed(word: &str) -> bool {
    !groups(word).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_a_group(left: &str, right: &str) -> bool {
        let right = groups(right);
        groups(left).iter().any(|group| right.contains(group))
    }

    #[test]
    fn words_of_one_meaning_share_a_group() {
        for (left, right) in [
            ("renvoyer", "retours"),
            ("livrez", "livraison"),
            ("expedions", "livrer"),
            ("boutique", "magasin"),
            ("ouvert", "horaires"),
            ("delivery", "livraison"),
            ("refund", "remboursement"),
            ("rdv", "reservation"),
            ("acompte", "versement"),
        ] {
            assert!(share_a_group(left, right), "{left} {right}");
        }
        for (left, right) in [("livre", "retour"), ("pagne", "panne"), ("garage", "garantie"), ("clef", "clos")] {
            assert!(!share_a_group(left, right), "{left} {right}");
        }
    }

    #[test]
    fn listed_words_are_folded_and_beginnings_are_long_enough() {
        for word in GROUPS.iter().flat_map(|words| words.split_whitespace()) {
            let bare = word.trim_end_matches('*');
            assert_eq!(crate::text::fold(bare), bare);
            assert!(bare == word || bare.chars().count() >= MIN_PREFIX_CHARS, "{word}");
        }
    }
}
