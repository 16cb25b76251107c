//! What the product itself says to contacts, in French and English. French is spoken wherever no other language is known.

use shared::{
    conversations::{Assistant, HandoverReason},
    orders::{Draft, Order},
    text::Language,
};

use crate::money::shown;

/// Says one thing in the language of a contact.
macro_rules! said {
    ($language:expr, $french:expr, $english:expr $(,)?) => {
        match $language {
            Language::English => $english,
            _ => $french,
        }
    };
}

/// Said once, before the first answer.
pub(crate) fn greeting(assistant: &Assistant, language: Language) -> String {
    let (name, company) = (&assistant.name, &assistant.company);
    said!(
        language,
        format!("Bonjour ! Je suis {name}, l’assistant virtuel de {company}."),
        format!("Hello! I am {name}, the virtual assistant of {company}."),
    )
}

pub(crate) fn opted_out(language: Language) -> &'static str {
    said!(
        language,
        "C’est noté : vous ne recevrez plus de messages. Écrivez REPRENDRE pour recommencer.",
        "Noted: you will receive no more messages. Write START to begin again.",
    )
}

pub(crate) fn opted_in(language: Language) -> &'static str {
    said!(language, "Ravi de vous retrouver ! Posez votre question.", "Good to have you back! Ask your question.")
}

pub(crate) fn text_only(language: Language) -> &'static str {
    said!(
        language,
        "Pour l’instant, je ne lis que les messages écrits. Pouvez-vous m’écrire votre question ?",
        "For now, I only read written messages. Could you write your question?",
    )
}

pub(crate) fn handed_over(reason: HandoverReason, language: Language) -> &'static str {
    match reason {
        HandoverReason::OutsideHours => said!(
            language,
            "Nous sommes fermés pour le moment. Une personne de notre équipe vous répondra à l’ouverture.",
            "We are closed at the moment. A person of our team will answer when we open.",
        ),
        HandoverReason::Unsupported => said!(
            language,
            "J’ai bien reçu votre envoi. Une personne de notre équipe va le regarder et vous répondre.",
            "I have received what you sent. A person of our team will look at it and answer you.",
        ),
        _ => said!(
            language,
            "Je vous mets en relation avec une personne de notre équipe, qui vous répondra ici.",
            "I am handing you over to a person of our team, who will answer you here.",
        ),
    }
}

pub(crate) fn no_answers_left(language: Language) -> &'static str {
    said!(
        language,
        "Je ne peux pas vous répondre pour le moment. Votre message est bien enregistré, et l’entreprise en est informée.",
        "I cannot answer you at the moment. Your message is stored, and the company knows of it.",
    )
}

pub(crate) fn failed(language: Language) -> &'static str {
    said!(
        language,
        "Désolé, je n’arrive pas à vous répondre pour le moment. Merci de réessayer un peu plus tard.",
        "Sorry, I cannot answer you right now. Please try again a little later.",
    )
}

/// Where a model declined.
pub(crate) fn will_not_answer(language: Language) -> &'static str {
    said!(
        language,
        "Désolé, je ne peux pas répondre à cette question. Écrivez CONSEILLER pour parler à une personne.",
        "Sorry, I cannot answer this question. Write HUMAN to speak with a person.",
    )
}

pub(crate) fn not_in_the_documents(language: Language) -> &'static str {
    said!(
        language,
        "Je n’ai pas trouvé la réponse dans nos documents. Pouvez-vous préciser votre question ?",
        "I could not find the answer in our documents. Could you be more specific?",
    )
}

/// The line below an answer: `Source : guide.pdf, p. 3`.
pub(crate) fn sources(places: &[(String, i32)], language: Language) -> String {
    let listed: Vec<_> = places.iter().map(|(file, page)| format!("{file}, p. {page}")).collect();
    let listed = listed.join(" ; ");
    said!(language, format!("_Source : {listed}_"), format!("_Source: {listed}_"))
}

/// What is proposed, with its prices, and how to confirm it.
pub(crate) fn proposal(draft: &Draft, language: Language) -> String {
    if draft.cancels {
        return said!(
            language,
            "Voulez-vous vraiment annuler votre commande ? Répondez *OUI* pour confirmer, *NON* pour la garder.",
            "Do you really want to cancel your order? Answer *YES* to confirm, *NO* to keep it.",
        )
        .to_owned();
    }
    let mut lines = vec![said!(language, "*Votre commande*", "*Your order*").to_owned()];
    for item in &draft.items {
        let price = item.unit_price.as_deref().and_then(cents);
        let price = match price {
            Some(cents) => shown(cents.saturating_mul(item.quantity), &draft.currency, language),
            None => said!(language, "prix à confirmer", "price to be confirmed").to_owned(),
        };
        lines.push(format!("- {} × {} : {price}", item.quantity, item.name));
    }
    let total = shown(draft.total_cents, &draft.currency, language);
    lines.push(match (draft.needs_review(), language) {
        (false, _) => format!("*Total : {total}*"),
        (true, Language::English) => format!("*Total so far: {total}*; a person will confirm the rest."),
        (true, _) => format!("*Total provisoire : {total}* ; une personne confirmera le reste."),
    });
    lines.push(
        said!(
            language,
            "Répondez *OUI* pour confirmer, *NON* pour annuler.",
            "Answer *YES* to confirm, *NO* to cancel.",
        )
        .to_owned(),
    );
    lines.join("\n")
}

/// `2500.00` in hundredths.
fn cents(decimal: &str) -> Option<i64> {
    let (whole, part) = decimal.split_once('.').unwrap_or((decimal, "00"));
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)
}

pub(crate) fn ordered(order: &Order, needs_review: bool, language: Language) -> String {
    let (number, total) = (order.number(), shown(order.total_cents, &order.currency, language));
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

pub(crate) fn changed(order: &Order, language: Language) -> String {
    let (number, total) = (order.number(), shown(order.total_cents, &order.currency, language));
    said!(
        language,
        format!("C’est fait : votre commande {number} est modifiée. Total : {total}."),
        format!("Done: your order {number} is changed. Total: {total}."),
    )
}

pub(crate) fn cancelled(order: &Order, language: Language) -> String {
    let number = order.number();
    said!(
        language,
        format!("C’est fait : votre commande {number} est annulée."),
        format!("Done: your order {number} is cancelled."),
    )
}

pub(crate) fn declined(language: Language) -> &'static str {
    said!(language, "D’accord, je n’ai rien enregistré.", "All right, nothing was registered.")
}

pub(crate) fn cannot_be_changed(language: Language) -> &'static str {
    said!(
        language,
        "Je ne trouve pas de commande que vous puissiez encore modifier. Écrivez CONSEILLER pour parler à une personne.",
        "I find no order that can still be changed. Write HUMAN to speak with a person.",
    )
}

pub(crate) fn order_not_understood(language: Language) -> &'static str {
    said!(
        language,
        "Je n’ai pas bien compris votre commande. Quels produits voulez-vous, et combien de chacun ?",
        "I did not quite understand your order. Which products would you like, and how many of each?",
    )
}
