"""Makes the PDF files of the customers' questions. The companies in them do not exist.

    python -m venv .venv && .venv/bin/pip install reportlab==5.1.0
    .venv/bin/python local/golden/make_documents.py

The results are committed: the tests need no Python packages. They are the same bytes each time.
"""

import sys
from pathlib import Path

from reportlab.platypus import PageBreak

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "fixtures"))

from sample_documents import body, heading, items, table, title, write  # noqa: E402

OUT = HERE / "documents"


def paragraphs(*texts: str) -> list:
    return [body(text) for text in texts]


def section(name: str, *texts: str) -> list:
    return [heading(name), *paragraphs(*texts)]


def save(name: str, document_title: str, author: str, *story) -> None:
    flat = []
    for part in story:
        flat.extend(part if isinstance(part, list) else [part])
    write(OUT / name, document_title, author, "Page", flat)


def palme_conditions() -> None:
    save(
        "palme_conditions_vente.pdf",
        "Palme d'Or – Conditions générales de vente",
        "Palme d'Or",
        title("Conditions générales de vente"),
        section(
            "Article 1 – Objet",
            "Les présentes conditions règlent les ventes de pagnes, de chaussures et d'accessoires conclues dans le "
            "magasin Palme d'Or ou sur son site. Toute commande vaut acceptation de ces conditions.",
        ),
        section(
            "Article 2 – Prix",
            "Les prix sont indiqués en francs CFA, toutes taxes comprises. Le prix facturé est celui du jour de la "
            "commande. Un article soldé n'est ni repris ni échangé.",
        ),
        section(
            "Article 3 – Paiement",
            "Le règlement se fait par Wave, Orange Money, espèces ou carte bancaire. Les chèques ne sont pas "
            "acceptés. Pour un montant supérieur à 80 000 FCFA, un versement de 40 % est exigé à la commande et le "
            "solde à l'enlèvement.",
        ),
        section(
            "Article 4 – Expédition",
            "Les colis partent du lundi au vendredi. Le délai est de 48 heures pour Abidjan et de quatre jours "
            "ouvrés pour l'intérieur du pays. Les frais de port s'élèvent à 2 000 FCFA à Abidjan et à 3 500 FCFA "
            "ailleurs. Nous n'expédions pas à l'étranger.",
        ),
        PageBreak(),
        section(
            "Article 5 – Droit de rétractation",
            "Le client dispose de dix jours à compter de la réception pour nous faire parvenir un article qui ne lui "
            "plaît pas, dans son emballage et avec la facture. Les retours se font au dépôt de Treichville, "
            "boulevard de Marseille, lot 114. Les frais d'envoi restent à la charge du client.",
        ),
        section(
            "Article 6 – Remboursement",
            "Le remboursement intervient dans les sept jours ouvrés après contrôle de l'article, par le moyen "
            "utilisé pour le paiement.",
        ),
        section(
            "Article 7 – Garantie",
            "Les chaussures sont garanties six mois contre le décollement de la semelle. La garantie ne couvre ni "
            "l'usure normale ni les taches. Les pagnes sont garantis grand teint.",
        ),
        section(
            "Article 8 – Carte de fidélité",
            "La carte est remise gratuitement à la première visite. Chaque tranche de 5 000 FCFA donne un point ; "
            "vingt points donnent droit à une remise de 10 % sur l'achat suivant.",
        ),
        PageBreak(),
        section(
            "Article 9 – Nous contacter",
            "Magasin Palme d'Or, rue du Commerce, immeuble Kente, Plateau, Abidjan. Téléphone : +225 27 00 00 41 18. "
            "Courriel : contact@palmedor.example.",
            "Le magasin accueille la clientèle du lundi au vendredi de 8 h 30 à 19 h et le samedi de 9 h à 17 h. Il "
            "est fermé le dimanche et les jours fériés.",
        ),
        section(
            "Article 10 – Données personnelles",
            "Les données recueillies servent au suivi des commandes et ne sont pas cédées à des tiers. Une demande "
            "de suppression reçoit une réponse sous trente jours.",
        ),
    )


def palme_tarifs() -> None:
    save(
        "palme_tarifs_2026.pdf",
        "Palme d'Or – Tarifs 2026",
        "Palme d'Or",
        title("Tarifs 2026"),
        heading("Pagnes et tissus"),
        table(
            [
                ["Article", "Prix au détail", "Prix par dix"],
                ["Pagne wax 6 yards", "18 500 FCFA", "16 000 FCFA"],
                ["Pagne kita tissé main", "45 000 FCFA", "41 000 FCFA"],
                ["Bazin riche 5 mètres", "32 000 FCFA", "29 500 FCFA"],
                ["Tissu coton uni, le mètre", "2 200 FCFA", "1 900 FCFA"],
                ["Foulard de soie", "7 500 FCFA", "6 800 FCFA"],
            ],
            [7, 4.5, 4.5],
        ),
        heading("Chaussures et sacs"),
        table(
            [
                ["Article", "Prix"],
                ["Sandales en cuir", "12 000 FCFA"],
                ["Mocassins homme", "28 000 FCFA"],
                ["Sac à main raphia", "15 500 FCFA"],
                ["Ceinture en cuir", "6 000 FCFA"],
            ],
            [8, 5],
        ),
        section(
            "Retouches",
            "L'ourlet d'un pagne est offert. La confection d'une tenue sur mesure demande huit jours et coûte "
            "25 000 FCFA, tissu non compris.",
        ),
    )


def flamboyants() -> None:
    save(
        "livret_accueil_flamboyants.pdf",
        "Clinique Les Flamboyants – Livret d'accueil",
        "Clinique Les Flamboyants",
        title("Livret d'accueil du patient"),
        section(
            "Nous trouver",
            "La Clinique Les Flamboyants se situe à Bouaké, quartier Air France 2, à 200 mètres du grand rond-point. "
            "Un parking gardé de quarante places est à la disposition des visiteurs.",
        ),
        section(
            "Nous appeler",
            "Standard : +225 31 00 00 22 05. Pour une urgence, composez le +225 05 00 00 22 99, joignable jour et "
            "nuit.",
        ),
        section(
            "Consultations",
            "Les consultations ont lieu du lundi au vendredi de 7 h 30 à 16 h 30 et le samedi matin jusqu'à midi. "
            "Le service des urgences est ouvert 24 heures sur 24. Un rendez-vous se prend au standard ou à l'accueil ; "
            "il peut être annulé sans frais jusqu'à la veille.",
        ),
        heading("Tarifs des actes"),
        table(
            [
                ["Acte", "Non assuré", "Assuré"],
                ["Consultation de médecine générale", "10 000 FCFA", "3 000 FCFA"],
                ["Consultation de pédiatrie", "15 000 FCFA", "4 500 FCFA"],
                ["Consultation de cardiologie", "20 000 FCFA", "6 000 FCFA"],
                ["Échographie", "25 000 FCFA", "7 500 FCFA"],
                ["Radiographie du thorax", "12 500 FCFA", "3 750 FCFA"],
                ["Analyse de sang complète", "18 000 FCFA", "5 400 FCFA"],
            ],
            [8, 4, 4],
        ),
        PageBreak(),
        section(
            "Votre admission",
            "Présentez-vous à l'accueil avec une pièce d'identité, votre carte d'assurance et les résultats d'examens "
            "antérieurs. Une caution de 50 000 FCFA est demandée pour toute hospitalisation ; elle est déduite de la "
            "facture.",
        ),
        section(
            "Votre chambre",
            "La chambre individuelle est facturée 30 000 FCFA par nuit et la chambre à deux lits 18 000 FCFA. Le "
            "téléviseur et la connexion Internet sont compris.",
        ),
        section(
            "Visites",
            "Vos proches sont les bienvenus de 12 h à 14 h et de 17 h à 20 h. Deux visiteurs au plus sont admis à la "
            "fois. Les enfants de moins de douze ans ne sont pas admis dans les services de soins.",
        ),
        section(
            "Analyses",
            "Les prélèvements se font à jeun, sans rendez-vous, de 6 h 30 à 10 h. Les résultats sont remis sous "
            "48 heures, sur place ou par courriel.",
        ),
        section(
            "Assurances",
            "La clinique travaille avec la CMU, la MUGEFCI et la plupart des assureurs privés. Sans prise en charge, "
            "la totalité est à régler à la sortie, en espèces, par carte ou par mobile money.",
        ),
    )


def harbour() -> None:
    save(
        "harbour-kitchen-menu.pdf",
        "Harbour Kitchen – Menu and house rules",
        "Harbour Kitchen",
        title("Harbour Kitchen"),
        heading("Starters"),
        table(
            [
                ["Dish", "Price"],
                ["Tomato soup with basil", "£6.50"],
                ["Smoked mackerel pâté", "£8.20"],
                ["Grilled halloumi salad", "£7.90"],
            ],
            [9, 4],
        ),
        heading("Mains"),
        table(
            [
                ["Dish", "Price"],
                ["Beer-battered cod and chips", "£15.80"],
                ["Mushroom and ale pie", "£13.40"],
                ["Grilled sea bass", "£19.60"],
                ["Harbour burger", "£14.20"],
                ["Children's fish fingers", "£7.00"],
            ],
            [9, 4],
        ),
        heading("Desserts"),
        table(
            [
                ["Dish", "Price"],
                ["Sticky toffee pudding", "£6.80"],
                ["Lemon tart", "£6.40"],
                ["Cheese board", "£9.50"],
            ],
            [9, 4],
        ),
        PageBreak(),
        section(
            "Opening times",
            "The kitchen serves lunch from noon to 3 pm and dinner from 6 pm to 10 pm, Tuesday to Sunday. We are "
            "closed on Mondays, except on bank holidays.",
        ),
        section(
            "Reservations",
            "Tables for up to six guests can be reserved on our website or by calling 01632 960 145. Larger parties "
            "pay a deposit of £10 per person, which is taken off the bill. We hold a table for fifteen minutes.",
        ),
        section(
            "Allergies and diets",
            "Ask for the allergen folder. All our soups are vegan and gluten-free. The fryer is shared with shellfish.",
        ),
        section(
            "Service and payment",
            "A service charge of 12.5% is added for parties of eight or more. We take all major cards and contactless "
            "payment, but no cash.",
        ),
        section(
            "Finding us",
            "Harbour Kitchen, 7 Quay Street, Whitby. The nearest car park is at Church Street, three minutes on foot. "
            "Dogs on a lead are welcome on the terrace.",
        ),
        section(
            "Gift vouchers",
            "Vouchers from £20 are sold at the bar and are valid for eighteen months from the date of purchase.",
        ),
    )


def savane_garantie() -> None:
    save(
        "Savane_Electro_SAV.pdf",
        "Savane Électro – Livraison, garantie et service après-vente",
        "Savane Électro",
        title("Livraison, garantie et service après-vente"),
        section(
            "Livraison à domicile",
            "Nos camions livrent à Abidjan et à Bingerville sous 72 heures. La livraison est facturée 5 000 FCFA pour "
            "un petit appareil et 10 000 FCFA pour un réfrigérateur, un congélateur ou une machine à laver. À "
            "l'intérieur du pays, le transport est assuré par un partenaire et le coût figure sur le devis. Nos "
            "techniciens montent l'appareil sans supplément.",
        ),
        section(
            "Enlèvement en entrepôt",
            "Une commande peut être enlevée sans frais à l'entrepôt de Koumassi, zone industrielle, rue 24, du lundi "
            "au vendredi de 9 h à 16 h, sur présentation du bon d'enlèvement. Passé quinze jours, des frais de garde "
            "de 1 000 FCFA par jour sont dus.",
        ),
        section(
            "Reprise de l'ancien appareil",
            "Lors de la livraison, l'ancien appareil de même type est repris gratuitement, à condition d'être vidé et "
            "débranché.",
        ),
        PageBreak(),
        section(
            "Durée de la garantie",
            "Les téléviseurs et les réfrigérateurs sont garantis vingt-quatre mois, les climatiseurs dix-huit mois et "
            "les petits appareils douze mois. Une extension de deux ans s'achète dans les trente jours qui suivent "
            "l'achat.",
        ),
        section(
            "Ce que la garantie ne couvre pas",
            "Les dégâts dus à la foudre, aux variations de tension ou à une chute ne sont pas pris en charge. Un "
            "régulateur de tension est vivement conseillé.",
        ),
        section(
            "Réparations",
            "Hors garantie, le diagnostic est facturé 7 500 FCFA, déduits si la réparation est faite. Un devis est "
            "remis sous trois jours ouvrés. Un appareil de remplacement est prêté si l'immobilisation dépasse dix "
            "jours.",
        ),
        section(
            "Échange et annulation",
            "Un appareil encore scellé peut être échangé dans les cinq jours. Une commande s'annule par téléphone "
            "tant que le camion n'est pas parti ; l'acompte est alors rendu en entier.",
        ),
        PageBreak(),
        section(
            "Facilités de paiement",
            "Le paiement en quatre mensualités est possible à partir de 200 000 FCFA, après un premier versement de "
            "25 %. Il faut un bulletin de salaire et une pièce d'identité. Nous prenons aussi MTN MoMo, Moov Money, "
            "Wave et les cartes bancaires.",
        ),
        section(
            "Service client",
            "Appelez le +225 21 00 00 63 10 ou écrivez à sav@savane-electro.example. Les conseillers répondent du "
            "lundi au samedi de 8 h à 20 h.",
        ),
        section(
            "Nos magasins",
            "Savane Électro Marcory : boulevard Valéry-Giscard-d'Estaing, face à la station. Savane Électro Yopougon : "
            "carrefour Siporex, galerie Nord. Les deux magasins sont ouverts tous les jours de 9 h à 21 h, le "
            "dimanche jusqu'à 14 h.",
        ),
    )


def savane_prix() -> None:
    save(
        "Savane_Electro_catalogue.pdf",
        "Savane Électro – Catalogue et prix",
        "Savane Électro",
        title("Catalogue et prix"),
        heading("Froid"),
        table(
            [
                ["Modèle", "Capacité", "Prix"],
                ["Réfrigérateur une porte R90", "90 litres", "115 000 FCFA"],
                ["Réfrigérateur combiné R260", "260 litres", "245 000 FCFA"],
                ["Congélateur coffre C300", "300 litres", "219 000 FCFA"],
            ],
            [7, 4, 5],
        ),
        heading("Climatisation"),
        table(
            [
                ["Modèle", "Puissance", "Prix"],
                ["Climatiseur split 1 CV", "9 000 BTU", "185 000 FCFA"],
                ["Climatiseur split 1,5 CV", "12 000 BTU", "215 000 FCFA"],
                ["Ventilateur sur pied", "60 W", "22 500 FCFA"],
            ],
            [7, 4, 5],
        ),
        heading("Image et petit électroménager"),
        table(
            [
                ["Modèle", "Taille", "Prix"],
                ["Téléviseur LED 32 pouces", "80 cm", "98 000 FCFA"],
                ["Téléviseur LED 55 pouces", "139 cm", "289 000 FCFA"],
                ["Mixeur 1,5 litre", "35 cm", "17 900 FCFA"],
                ["Fer à repasser vapeur", "30 cm", "14 500 FCFA"],
            ],
            [7, 4, 5],
        ),
    )


def acacias() -> None:
    save(
        "Acacias-inscriptions-et-frais.pdf",
        "Groupe scolaire Les Acacias – Inscriptions et frais 2026-2027",
        "Groupe scolaire Les Acacias",
        title("Inscriptions et frais 2026-2027"),
        section(
            "Dossier d'inscription",
            "Le dossier comprend un extrait d'acte de naissance, deux photos d'identité, le carnet de vaccination et "
            "le bulletin de l'année précédente. Il se dépose au secrétariat entre le 15 juin et le 31 juillet. Un "
            "test de niveau en français et en mathématiques est organisé le premier samedi d'août.",
        ),
        heading("Frais de scolarité"),
        table(
            [
                ["Niveau", "Inscription", "Scolarité annuelle"],
                ["Maternelle", "40 000 FCFA", "350 000 FCFA"],
                ["Primaire", "50 000 FCFA", "420 000 FCFA"],
                ["Collège", "60 000 FCFA", "560 000 FCFA"],
                ["Lycée", "75 000 FCFA", "690 000 FCFA"],
            ],
            [5, 5, 5.5],
        ),
        *paragraphs(
            "La scolarité se règle en trois tranches, en septembre, en décembre et en mars. Une réduction de 15 % est "
            "accordée dès le deuxième enfant d'une même famille. L'inscription n'est pas remboursable.",
        ),
        PageBreak(),
        section(
            "Rentrée et horaires",
            "La rentrée a lieu le lundi 7 septembre. Les cours ont lieu de 7 h 30 à 12 h et de 14 h à 16 h 30 ; le "
            "mercredi après-midi est libre. La garderie accueille les enfants jusqu'à 18 h 30.",
        ),
        section(
            "Cantine et transport",
            "Le repas coûte 1 200 FCFA par jour. L'abonnement au car scolaire est de 25 000 FCFA par mois et dessert "
            "Cocody, Riviera et Angré. Les menus sans arachide sont préparés sur certificat médical.",
        ),
        section(
            "Tenue",
            "L'uniforme est obligatoire. Deux ensembles sont remis à la rentrée ; un ensemble supplémentaire coûte "
            "9 500 FCFA au secrétariat.",
        ),
        section(
            "Absences",
            "Toute absence doit être signalée avant 8 heures. Après trois jours, un certificat médical est exigé.",
        ),
        section(
            "Secrétariat",
            "Groupe scolaire Les Acacias, Riviera Palmeraie, rue I 146, Abidjan. Tél. : +225 27 00 00 88 30. Le "
            "secrétariat reçoit du lundi au vendredi, de 7 h à 15 h 30. Courriel : secretariat@acacias.example.",
        ),
    )


def lavandiere() -> None:
    save(
        "pressing-lavandiere.pdf",
        "Pressing La Lavandière – Services et tarifs",
        "Pressing La Lavandière",
        title("Pressing La Lavandière"),
        section(
            "Boutique",
            "Nous sommes au 18 rue des Martyrs-de-la-Soie, Paris 11e, métro Parmentier. La boutique vous reçoit du "
            "mardi au samedi, de 8 h à 12 h 30 et de 14 h à 19 h 30. Ligne directe : 01 99 00 41 72.",
        ),
        heading("Tarifs à la pièce"),
        table(
            [
                ["Pièce", "Nettoyage", "Express 4 h"],
                ["Chemise", "3,90 €", "5,90 €"],
                ["Pantalon", "6,80 €", "9,50 €"],
                ["Costume deux pièces", "14,90 €", "21,00 €"],
                ["Robe de soirée", "19,50 €", "27,00 €"],
                ["Manteau", "16,40 €", "23,00 €"],
                ["Couette", "24,00 €", "non proposé"],
            ],
            [6, 4.5, 4.5],
        ),
        section(
            "Délais",
            "Le nettoyage ordinaire est prêt en deux jours ouvrés. Les couettes et les tapis demandent une semaine.",
        ),
        PageBreak(),
        section(
            "Ramassage à domicile",
            "Un coursier passe chez vous le soir, entre 18 h et 21 h, dans les 10e, 11e et 12e arrondissements. Ce "
            "service est gratuit dès 35 € de nettoyage et coûte 4,50 € en dessous.",
        ),
        section(
            "Taches et dommages",
            "Signalez les taches au dépôt. Un vêtement abîmé par notre faute est indemnisé sur facture, dans la "
            "limite de 300 €. Toute réclamation se fait dans les 48 heures après le retrait.",
        ),
        section(
            "Vêtements non retirés",
            "Les pièces sont conservées trois mois. Au-delà, elles sont données à une association.",
        ),
        section(
            "Règlement",
            "Le règlement a lieu au dépôt, en espèces, par carte sans minimum ou par titre CESU. Une carte de dix "
            "chemises est vendue 34 €.",
        ),
        section(
            "Cuir et daim",
            "Les articles en cuir sont confiés à un atelier spécialisé et reviennent après trois semaines, sur devis.",
        ),
    )


def brightwater() -> None:
    save(
        "Brightwater Dental patient guide.pdf",
        "Brightwater Dental – Patient guide",
        "Brightwater Dental",
        title("Patient guide"),
        section(
            "Where we are",
            "Brightwater Dental is at 52 Mill Lane, Durham, on the first floor above the pharmacy. A lift is at the "
            "rear entrance. There are six parking spaces behind the building.",
        ),
        section(
            "When we are open",
            "Monday to Thursday from 8.30 am to 6 pm, Friday from 8.30 am to 1 pm. The practice is closed at "
            "weekends.",
        ),
        section(
            "Contact",
            "Call 01632 960 388 or write to hello@brightwater.example. Outside opening hours, call the emergency line "
            "on 01632 960 911.",
        ),
        heading("Fees"),
        table(
            [
                ["Treatment", "Adult", "Under 18"],
                ["Check-up", "£42", "£20"],
                ["Hygienist visit, 30 minutes", "£58", "£35"],
                ["White filling", "£115", "£80"],
                ["Root canal treatment", "£390", "£310"],
                ["Crown", "£620", "not offered"],
                ["Tooth whitening", "£285", "not offered"],
            ],
            [7, 4, 4],
        ),
        PageBreak(),
        section(
            "Appointments",
            "New patients fill in a medical form and should arrive ten minutes early. You may move or cancel an "
            "appointment free of charge up to two working days before. Later than that, or if you do not come, we "
            "charge £25.",
        ),
        section(
            "Paying",
            "Treatment is paid for on the day, by card or bank transfer. Courses of treatment above £500 can be "
            "spread over ten months without interest.",
        ),
        section(
            "Nervous patients",
            "Tell us when you book. Sedation is offered on Tuesdays, and somebody must take you home afterwards.",
        ),
        section(
            "After an extraction",
            "Do not rinse for twenty-four hours and do not smoke for three days. If the bleeding has not stopped after "
            "an hour, call us.",
        ),
        section(
            "Guarantee",
            "Fillings are guaranteed for one year and crowns for five, provided that you attend your check-ups.",
        ),
        section(
            "Complaints",
            "Write to the practice manager. You receive an acknowledgement within three working days and a full reply "
            "within four weeks.",
        ),
    )


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for make in (
        palme_conditions,
        palme_tarifs,
        flamboyants,
        harbour,
        savane_garantie,
        savane_prix,
        acacias,
        lavandiere,
        brightwater,
    ):
        make()


if __name__ == "__main__":
    main()
