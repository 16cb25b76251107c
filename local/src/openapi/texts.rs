//! Texts of openapi.json: the tags, the roles, and each operation's summary and description.

use serde_json::Value;

/// The tags of the operations, in the order of the document.
pub(super) const TAGS: &[(&str, &str)] = &[
    ("auth", "Accounts, sign-in and access tokens."),
    ("profile", "The signed-in user, with the companies that the user may open."),
    ("members", "The company's members: invitations, removal, transfer of the ownership."),
    ("quota", "The number of questions left in the plan."),
    ("context", "What an assistant must know of a user before it answers."),
    ("user-config", "A user's own configuration: the data pod."),
    ("company-config", "The assistant's name, prompts and hours, with their versions and the golden questions."),
    ("documents", "The company's files, from which questions are answered."),
    ("query", "Questions, answered from the documents with page citations."),
    ("approved-answers", "The company's own answers, which come before those from documents."),
    ("webhooks", "Endpoints that ManyChat and Stripe call."),
    ("conversations", "WhatsApp conversations with customers, and the handover between the assistant and a person."),
    ("live-mode", "The mode of the assistant: sales, or answers from documents."),
    ("products", "The catalogue: products and prices that the assistant may sell."),
    ("orders", "Orders of customers, by WhatsApp or by hand."),
    ("activities", "What happened in the company's conversations and orders."),
    ("dashboard", "Figures by day and in total."),
    ("changes", "What changed since a cursor, for whoever shows it live."),
    ("customer", "The company's profile, settings and connections."),
    ("webhook-endpoints", "The company's own URLs, to which its events are sent. `webhooks` has the events."),
    ("billing", "Plan usage, invoiced periods, checkout and the payment portal."),
    ("privacy", "Exports, deletion and the audit log of access to the company's data."),
    ("admin", "Companies, for administrators."),
    ("health", "The health check of the API."),
    ("docs", "This OpenAPI document, and a page to read it and try requests."),
];

/// The roles that an operation's security requirement names, with what they may do. A member's role also allows what the
/// roles before it allow.
pub(super) const ROLES: [(&str, &str); 5] = [
    ("user", "A signed-in person, also one who belongs to no company."),
    ("support_user", "A member of the company. Reads its data, and handles conversations and orders."),
    ("account_user", "An owner of the company. Also manages documents, catalogue, settings, members and billing."),
    ("global_admin", "An administrator of the deployment. Has the admin routes, and belongs to no company."),
    ("service", "Another back end, by a token with the role `service_role`."),
];

/// Returns the summary of an operation: the first statement of its description, without a full stop.
pub(super) fn summary(description: &str) -> String {
    let text = description.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut in_code, mut in_parentheses) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '`' => in_code = !in_code,
            '(' => in_parentheses = true,
            ')' => in_parentheses = false,
            '.' | ':' | ';' if !in_code && !in_parentheses && text[at + 1..].starts_with(' ') => {
                return text[..at].to_owned();
            }
            _ => {}
        }
    }
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// Returns the sentence that says who may call an operation with this security requirement.
pub(super) fn access(security: &Value) -> String {
    let requirements = security.as_array().map_or(&[][..], Vec::as_slice);
    let is_public = requirements.is_empty() || requirements.iter().any(|one| one == &serde_json::json!({}));
    let role = requirements.iter().find_map(|one| one["bearer"].as_array()).map(|roles| roles.first());
    let asks_for = |scheme: &str| requirements.iter().any(|one| one.get(scheme).is_some());
    match role {
        Some(Some(role)) if is_public => format!("Anybody may call it; more for the role {role}.").replace('"', "`"),
        Some(Some(role)) => format!("Needs an access token of the role {role}.").replace('"', "`"),
        Some(None) => "Needs an access token of any role.".to_owned(),
        None if asks_for("manychat") => "Needs the company's secret in the header `X-Webhook-Secret`.".to_owned(),
        None if asks_for("stripeSignature") => "Needs Stripe's signature in the header `Stripe-Signature`.".to_owned(),
        None => "Anybody may call it.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_summary_is_the_first_statement() {
        for (description, expected) in [
            ("Returns one order.", "Returns one order"),
            ("Returns one order. Never two.", "Returns one order"),
            ("Deletes an order\nthat is pending; 409 otherwise.", "Deletes an order that is pending"),
            ("Suspends a company: its routes end.", "Suspends a company"),
            ("Calls `a. b` (e.g. this. one) at once. Then ends.", "Calls `a. b` (e.g. this. one) at once"),
            ("Returns this OpenAPI 3.1 document.", "Returns this OpenAPI 3.1 document"),
        ] {
            assert_eq!(summary(description), expected);
        }
    }

    #[test]
    fn access_names_the_role_the_secret_or_nobody() {
        for (security, expected) in [
            (json!([]), "Anybody may call it."),
            (json!([{}, { "bearer": ["service"] }]), "Anybody may call it; more for the role `service`."),
            (json!([{ "bearer": [] }]), "Needs an access token of any role."),
            (json!([{ "bearer": ["account_user"] }]), "Needs an access token of the role `account_user`."),
            (json!([{ "manychat": [] }]), "Needs the company's secret in the header `X-Webhook-Secret`."),
            (json!([{ "stripeSignature": [] }]), "Needs Stripe's signature in the header `Stripe-Signature`."),
        ] {
            assert_eq!(access(&security), expected);
        }
    }
}
