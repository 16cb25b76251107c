//! Fixed texts that customers of a company read, on WhatsApp and over the API, in French and English. Where the language
//! of the customer is not certain, the caller passes the company's.

use crate::{
    conversations::{HandoverReason, courtesies::Courtesy},
    currency::format_amount,
    orders::{Order, OrderDraft},
    products::Product,
    tenants::Identity,
    text::Language,
};

/// Selects the French or the English text.
macro_rules! localized {
    ($language:expr, $french:expr, $english:expr $(,)?) => {
        match $language {
            Language::English => $english,
            _ => $french,
        }
    };
}

/// Acknowledgement of a burst's first message.
#[must_use]
pub fn acknowledged(language: Language) -> &'static str {
    localized!(language, "OK, bien reçu", "OK, got it")
}

/// Introduction of the assistant, sent once, before the first answer.
#[must_use]
pub fn greeting(identity: &Identity, language: Language) -> String {
    identity.greeting(language)
}

/// Answer on WhatsApp to a first greeting: the introduction, and what the assistant can do.
#[must_use]
pub fn welcome(identity: &Identity, takes_orders: bool, language: Language) -> String {
    let abilities = match (takes_orders, language) {
        (true, Language::English) => "I answer your questions and take your orders.",
        (true, _) => "Je réponds à vos questions et je prends vos commandes.",
        (false, Language::English) => "Ask your question, and I will look for the answer in our documents.",
        (false, _) => "Posez votre question, et je chercherai la réponse dans nos documents.",
    };
    format!("{} {abilities} {}", greeting(identity, language), offer_of_a_person(language))
}

/// Answer on WhatsApp to a courtesy of a contact who knows the assistant; `None` where none is needed.
#[must_use]
pub fn courtesy(courtesy: Courtesy, language: Language) -> Option<&'static str> {
    match courtesy {
        Courtesy::Greeting => {
            Some(localized!(language, "Bonjour ! Que puis-je faire pour vous ?", "Hello! What can I do for you?"))
        }
        Courtesy::Thanks => Some(localized!(language, "Avec plaisir !", "You are welcome!")),
        Courtesy::Farewell => Some(localized!(language, "Merci, et à bientôt !", "Thank you, and see you soon!")),
        Courtesy::Acknowledgement => None,
        Courtesy::Attention => Some(localized!(language, "Que puis-je faire pour vous ?", "What can I do for you?")),
        Courtesy::Number => Some(localized!(
            language,
            "Pouvez-vous m’écrire votre question en quelques mots ?",
            "Could you write your question in a few words?",
        )),
        Courtesy::Identity => Some(localized!(
            language,
            "Oui, je suis un assistant virtuel. Écrivez CONSEILLER pour parler à une personne.",
            "Yes, I am a virtual assistant. Write HUMAN to speak with a person.",
        )),
        Courtesy::Unreadable => Some(text_only(language)),
    }
}

/// Answer to a courtesy in place of a yes or a no to a proposal, which ends with it.
#[must_use]
pub fn proposal_ended(cancels: bool, language: Language) -> &'static str {
    match (cancels, language) {
        (false, Language::English) => "Nothing is ordered yet. Do you still want to order?",
        (false, _) => "Rien n’est encore commandé. Voulez-vous toujours commander ?",
        (true, Language::English) => "Your order is not cancelled. Do you still want to cancel it?",
        (true, _) => "Votre commande n’est pas annulée. Voulez-vous toujours l’annuler ?",
    }
}

/// The words by which a contact asks for a person.
fn offer_of_a_person(language: Language) -> &'static str {
    localized!(language, "Écrivez CONSEILLER pour parler à une personne.", "Write HUMAN to speak with a person.",)
}

/// Confirmation of an opt-out.
#[must_use]
pub fn opted_out(language: Language) -> &'static str {
    localized!(
        language,
        "C’est noté : vous ne recevrez plus de messages. Écrivez REPRENDRE pour recommencer.",
        "Noted: you will receive no more messages. Write START to begin again.",
    )
}

/// Confirmation of an opt-in.
#[must_use]
pub fn opted_in(language: Language) -> &'static str {
    localized!(language, "Ravi de vous retrouver ! Posez votre question.", "Good to have you back! Ask your question.")
}

/// Confirmation of an opt-out whose contact also asked to erase its data. The conversation is handed over to a person.
#[must_use]
pub fn opted_out_and_erasure_requested(language: Language) -> &'static str {
    localized!(
        language,
        "C’est noté : vous ne recevrez plus de messages, et votre demande de suppression est transmise à l’entreprise. \
         Écrivez REPRENDRE pour recommencer.",
        "Noted: you will receive no more messages, and the company has your request for deletion. Write START to begin \
         again.",
    )
}

/// Answer to an opt-in of a contact who has not opted out.
#[must_use]
pub fn already_opted_in(language: Language) -> &'static str {
    localized!(
        language,
        "Vous recevez déjà nos messages. Posez votre question.",
        "You receive our messages already. Ask your question.",
    )
}

/// Line below an answer to messages of which some have no text.
#[must_use]
pub fn partly_unread(is_voice: bool, language: Language) -> &'static str {
    if is_voice {
        localized!(
            language,
            "Je n’ai pas écouté votre message vocal : je ne lis que les messages écrits.",
            "I have not listened to your voice message: I only read written messages.",
        )
    } else {
        localized!(
            language,
            "Je n’ai pas vu votre envoi : je ne lis que les messages écrits.",
            "I have not seen what you sent: I only read written messages.",
        )
    }
}

/// Answer to messages without text.
#[must_use]
pub fn text_only(language: Language) -> &'static str {
    localized!(
        language,
        "Pour l’instant, je ne lis que les messages écrits. Pouvez-vous m’écrire votre question ?",
        "For now, I only read written messages. Could you write your question?",
    )
}

/// Answer to messages without text, or with more than a text, while the proposal of an order waits for an answer.
#[must_use]
pub fn text_only_at_proposal(cancels: bool, language: Language) -> String {
    let explained = localized!(
        language,
        "Pour l’instant, je ne lis que les messages écrits.",
        "For now, I only read written messages.",
    );
    format!("{explained} {}", proposal_ended(cancels, language))
}

/// Notice of a handover to a person. Within the business hours, it is the company's own where it has one.
#[must_use]
pub fn handed_over(identity: &Identity, reason: HandoverReason, language: Language) -> String {
    match reason {
        HandoverReason::OutsideHours => localized!(
            language,
            "Nous sommes fermés pour le moment. Une personne de notre équipe vous répondra à l’ouverture.",
            "We are closed at the moment. A person of our team will answer when we open.",
        )
        .to_owned(),
        HandoverReason::Unsupported => localized!(
            language,
            "J’ai bien reçu votre envoi. Une personne de notre équipe va le regarder et vous répondre.",
            "I have received what you sent. A person of our team will look at it and answer you.",
        )
        .to_owned(),
        _ => identity.handover(language),
    }
}

/// Notice that the quota is used up. The question is listed as unanswered, and its conversation as one that waits.
#[must_use]
pub fn no_answers_left(language: Language) -> &'static str {
    localized!(
        language,
        "Je ne peux pas vous répondre pour le moment. Votre message est bien enregistré, et l’entreprise en est informée. \
         Écrivez CONSEILLER pour parler à une personne.",
        "I cannot answer you at the moment. Your message is stored, and the company knows of it. Write HUMAN to speak \
         with a person.",
    )
}

/// Notice that all attempts failed.
#[must_use]
pub fn failed(language: Language) -> &'static str {
    localized!(
        language,
        "Désolé, je n’arrive pas à vous répondre pour le moment. Merci de réessayer un peu plus tard.",
        "Sorry, I cannot answer you right now. Please try again a little later.",
    )
}

/// Notice that the model declined to answer.
#[must_use]
pub fn will_not_answer(language: Language) -> &'static str {
    localized!(
        language,
        "Désolé, je ne peux pas répondre à cette question. Écrivez CONSEILLER pour parler à une personne.",
        "Sorry, I cannot answer this question. Write HUMAN to speak with a person.",
    )
}

/// Answer when the documents hold none: the company's own where it has one.
#[must_use]
pub fn not_in_the_documents(identity: &Identity, language: Language) -> String {
    identity.refusal(language)
}

/// Line with the sources below an answer, by title and page: `Source : Guide de livraison, p. 3`.
#[must_use]
pub fn sources(sources: &[String], language: Language) -> String {
    let listed = sources.join(" ; ");
    localized!(language, format!("_Source : {listed}_"), format!("_Source: {listed}_"))
}

/// Products with their prices, one a line.
#[must_use]
pub fn product_lines(products: &[&Product], language: Language) -> String {
    let line = |product: &&Product| {
        let price = format_amount(product.price_cents, &product.currency, language);
        let description = product.description.as_deref().map(|text| format!(" – {text}")).unwrap_or_default();
        format!("- {} : {price}{description}", product.name)
    };
    products.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Introduction of a list of products below an answer that the documents did not give.
#[must_use]
pub fn what_we_sell(language: Language) -> &'static str {
    localized!(language, "Voici ce que nous proposons :", "This is what we sell:")
}

/// Line below a quote of the catalogue, where no language model takes orders.
#[must_use]
pub fn how_to_order(language: Language) -> &'static str {
    localized!(
        language,
        "Pour commander, écrivez CONSEILLER : une personne vous répondra.",
        "To order, write HUMAN: a person will answer you.",
    )
}

/// Summary of an order draft with its prices, and the question to confirm it.
#[must_use]
pub fn proposal(draft: &OrderDraft, language: Language) -> String {
    if draft.cancels {
        return localized!(
            language,
            "Voulez-vous vraiment annuler votre commande ? Répondez *OUI* pour confirmer, *NON* pour la garder.",
            "Do you really want to cancel your order? Answer *YES* to confirm, *NO* to keep it.",
        )
        .to_owned();
    }
    let mut lines = vec![localized!(language, "*Votre commande*", "*Your order*").to_owned()];
    for item in &draft.items {
        let price = match item.unit_price_cents() {
            Some(cents) => format_amount(cents.saturating_mul(item.quantity), &draft.currency, language),
            None => localized!(language, "prix à confirmer", "price to be confirmed").to_owned(),
        };
        lines.push(format!("- {} × {} : {price}", item.quantity, item.name));
    }
    let total = format_amount(draft.total_cents, &draft.currency, language);
    lines.push(match (draft.needs_review(), language) {
        (false, _) => format!("*Total : {total}*"),
        (true, Language::English) => format!("*Total so far: {total}*; a person will confirm the rest."),
        (true, _) => format!("*Total provisoire : {total}* ; une personne confirmera le reste."),
    });
    lines.push(
        localized!(
            language,
            "Répondez *OUI* pour confirmer, *NON* pour annuler.",
            "Answer *YES* to confirm, *NO* to cancel.",
        )
        .to_owned(),
    );
    lines.join("\n")
}

/// Confirmation of a new order.
#[must_use]
pub fn ordered(order: &Order, needs_review: bool, language: Language) -> String {
    let (number, total) = (order.number(), format_amount(order.total_cents, &order.currency, language));
    match (needs_review, language) {
        (false, Language::English) => format!("Thank you! Your order {number} is registered. Total: {total}."),
        (false, _) => format!("Merci ! Votre commande {number} est enregistrée. Total : {total}."),
        (true, Language::English) => {
            format!("Thank you! Your order {number} is registered. A person will confirm what is not in our catalogue.")
        }
        (true, _) => format!(
            "Merci ! Votre commande {number} est enregistrée. Une personne confirmera ce qui n’est pas au catalogue."
        ),
    }
}

/// Confirmation of a changed order.
#[must_use]
pub fn changed(order: &Order, language: Language) -> String {
    let (number, total) = (order.number(), format_amount(order.total_cents, &order.currency, language));
    localized!(
        language,
        format!("C’est fait : votre commande {number} est modifiée. Total : {total}."),
        format!("Done: your order {number} is changed. Total: {total}."),
    )
}

/// Confirmation of a cancelled order.
#[must_use]
pub fn cancelled(order: &Order, language: Language) -> String {
    let number = order.number();
    localized!(
        language,
        format!("C’est fait : votre commande {number} est annulée."),
        format!("Done: your order {number} is cancelled."),
    )
}

/// Confirmation that a draft was dropped, because the contact answered no.
#[must_use]
pub fn draft_discarded(draft: &OrderDraft, language: Language) -> &'static str {
    match (draft.order_id.is_some(), language) {
        (false, Language::English) => "All right, nothing was registered.",
        (false, _) => "D’accord, je n’ai rien enregistré.",
        (true, Language::English) => "All right, your order stays as it was.",
        (true, _) => "D’accord, votre commande reste comme elle était.",
    }
}

/// Notice that there is no order that can still be changed.
#[must_use]
pub fn cannot_be_changed(language: Language) -> &'static str {
    localized!(
        language,
        "Je ne trouve pas de commande que vous puissiez encore modifier. Écrivez CONSEILLER pour parler à une personne.",
        "I find no order that can still be changed. Write HUMAN to speak with a person.",
    )
}

/// Question for products and quantities, when the model's order is not valid.
#[must_use]
pub fn order_not_understood(language: Language) -> &'static str {
    localized!(
        language,
        "Je n’ai pas bien compris votre commande. Quels produits voulez-vous, et combien de chacun ?",
        "I did not quite understand your order. Which products would you like, and how many of each?",
    )
}

/// Notice that the contact has got as many answers as one contact may get, in a minute or in a day.
#[must_use]
pub fn too_many_messages(is_daily: bool, language: Language) -> &'static str {
    if is_daily {
        localized!(
            language,
            "Vous avez reçu beaucoup de réponses aujourd’hui. Je pourrai de nouveau vous répondre demain. Pour parler à \
             une personne, écrivez CONSEILLER.",
            "You have received many answers today. I can answer you again tomorrow. To speak with a person, write HUMAN.",
        )
    } else {
        localized!(
            language,
            "Vous écrivez plus vite que je ne peux répondre. Merci de patienter une minute, puis de reposer votre \
             question.",
            "You write faster than I can answer. Please wait for a minute, then ask your question again.",
        )
    }
}

/// Answer over the API when the documents hold none: the company's own where it has one.
#[must_use]
pub fn not_in_the_documents_over_api(identity: &Identity, language: Language) -> String {
    identity.own_refusal(language).unwrap_or_else(|| {
        localized!(
            language,
            "Je n’ai pas trouvé la réponse dans les documents. Pouvez-vous préciser votre question, ou la poser à une \
             personne de l’équipe ?",
            "I could not find the answer in the documents. Could you be more specific, or ask a person of the team?",
        )
        .to_owned()
    })
}

/// Answer over the API when the model declined to answer.
#[must_use]
pub fn will_not_answer_over_api(language: Language) -> &'static str {
    localized!(language, "Désolé, je ne peux pas répondre à cette question.", "Sorry, I cannot answer this question.",)
}

/// Answer over the API when no model answered.
#[must_use]
pub fn failed_over_api(language: Language) -> &'static str {
    localized!(
        language,
        "Désolé, je n’arrive pas à répondre pour le moment. Merci de réessayer un peu plus tard.",
        "Sorry, I cannot answer right now. Please try again a little later.",
    )
}

/// Answer over the API to a courtesy.
#[must_use]
pub fn courtesy_over_api(of: Courtesy, identity: &Identity, language: Language) -> String {
    match (of, courtesy(of, language)) {
        (Courtesy::Greeting, _) => format!(
            "{} {}",
            greeting(identity, language),
            localized!(
                language,
                "Posez votre question, et je chercherai la réponse dans les documents.",
                "Ask your question, and I will look for the answer in the documents.",
            )
        ),
        (Courtesy::Identity, _) => localized!(
            language,
            format!("Oui, je suis {}, un assistant virtuel.", identity.assistant),
            format!("Yes, I am {}, a virtual assistant.", identity.assistant),
        ),
        (_, Some(text)) => text.to_owned(),
        (_, None) => {
            localized!(language, "D’accord. Posez votre question.", "All right. Ask your question.").to_owned()
        }
    }
}
