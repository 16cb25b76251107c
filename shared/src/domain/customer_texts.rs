//! Fixed texts that customers of a company read, on WhatsApp and over the API, in French and English. For another
//! language the text on WhatsApp is French, and the text over the API is English.

use crate::{
    conversations::{Assistant, HandoverReason},
    currency::format_amount,
    orders::{Order, OrderDraft},
    text::Language,
};

/// Selects the French or the English text on WhatsApp by a contact's language.
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
pub fn greeting(assistant: &Assistant, language: Language) -> String {
    let (name, company) = (&assistant.name, &assistant.company);
    localized!(
        language,
        format!("Bonjour ! Je suis {name}, l’assistant virtuel de {company}."),
        format!("Hello! I am {name}, the virtual assistant of {company}."),
    )
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

/// Answer to messages without text.
#[must_use]
pub fn text_only(language: Language) -> &'static str {
    localized!(
        language,
        "Pour l’instant, je ne lis que les messages écrits. Pouvez-vous m’écrire votre question ?",
        "For now, I only read written messages. Could you write your question?",
    )
}

/// Notice of a handover to a person.
#[must_use]
pub fn handed_over(reason: HandoverReason, language: Language) -> &'static str {
    match reason {
        HandoverReason::OutsideHours => localized!(
            language,
            "Nous sommes fermés pour le moment. Une personne de notre équipe vous répondra à l’ouverture.",
            "We are closed at the moment. A person of our team will answer when we open.",
        ),
        HandoverReason::Unsupported => localized!(
            language,
            "J’ai bien reçu votre envoi. Une personne de notre équipe va le regarder et vous répondre.",
            "I have received what you sent. A person of our team will look at it and answer you.",
        ),
        _ => localized!(
            language,
            "Je vous mets en relation avec une personne de notre équipe, qui vous répondra ici.",
            "I am handing you over to a person of our team, who will answer you here.",
        ),
    }
}

/// Notice that the quota is used up.
#[must_use]
pub fn no_answers_left(language: Language) -> &'static str {
    localized!(
        language,
        "Je ne peux pas vous répondre pour le moment. Votre message est bien enregistré, et l’entreprise en est informée.",
        "I cannot answer you at the moment. Your message is stored, and the company knows of it.",
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

/// Answer when the documents hold none.
#[must_use]
pub fn not_in_the_documents(language: Language) -> &'static str {
    localized!(
        language,
        "Je n’ai pas trouvé la réponse dans nos documents. Pouvez-vous préciser votre question ?",
        "I could not find the answer in our documents. Could you be more specific?",
    )
}

/// Line with the sources below an answer: `Source : guide.pdf, p. 3`.
#[must_use]
pub fn sources(places: &[(String, i32)], language: Language) -> String {
    let listed: Vec<_> = places.iter().map(|(file, page)| format!("{file}, p. {page}")).collect();
    let listed = listed.join(" ; ");
    localized!(language, format!("_Source : {listed}_"), format!("_Source: {listed}_"))
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
pub fn draft_discarded(language: Language) -> &'static str {
    localized!(language, "D’accord, je n’ai rien enregistré.", "All right, nothing was registered.")
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

/// Answer over the API when the documents hold none.
#[must_use]
pub fn not_in_the_documents_over_api(language: Language) -> &'static str {
    match language {
        Language::French => "Je n’ai pas trouvé la réponse dans les documents. Pouvez-vous préciser votre question ?",
        _ => "I could not find the answer in the documents. Could you be more specific?",
    }
}

/// Answer over the API when the model declined to answer.
#[must_use]
pub fn will_not_answer_over_api(language: Language) -> &'static str {
    match language {
        Language::French => "Désolé, je ne peux pas répondre à cette question.",
        _ => "Sorry, I cannot answer this question.",
    }
}

/// Answer over the API when no model answered.
#[must_use]
pub fn failed_over_api(language: Language) -> &'static str {
    match language {
        Language::French => "Désolé, je n’arrive pas à répondre pour le moment. Merci de réessayer un peu plus tard.",
        _ => "Sorry, I cannot answer right now. Please try again a little later.",
    }
}
