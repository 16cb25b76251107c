//! The old companies: `company_rag_configs`, and `company_mapping` where the old project had it.

use uuid::Uuid;

use super::old_row::{AdoptionHints, MissingParts, OldRow, RowError};
use crate::{
    audit::{self, NewAuditEntry},
    db::SystemTx,
    input,
    tenants::MAX_COMPANY_NAME_CHARS,
};

/// Maximum length of a prompt, in characters.
const MAX_PROMPT_CHARS: usize = 20_000;
/// Maximum length of the bot's name, in characters.
const MAX_AI_NAME_CHARS: usize = 100;

/// Texts of an old configuration, and those parts of them that were not taken over.
struct Texts {
    name: String,
    ai_name: Option<String>,
    groq: Option<String>,
    deepseek: Option<String>,
    missing: MissingParts,
}

impl Texts {
    fn read(row: &OldRow, company_id: &str) -> Self {
        let mut missing = Vec::new();
        let mut one_line = |column, max, reason| match row.text(column).map(|text| input::one_line(text, 1, max)) {
            Some(Ok(text)) => Some(text),
            Some(Err(_)) => {
                missing.push(reason);
                None
            }
            None => None,
        };
        let name = one_line("company_name", MAX_COMPANY_NAME_CHARS, "company_name_unusable");
        let ai_name = one_line("ai_name", MAX_AI_NAME_CHARS, "ai_name_unusable");
        let mut prompt = |column, reason| match row.text(column) {
            Some(text) if text.chars().count() > MAX_PROMPT_CHARS => {
                missing.push(reason);
                None
            }
            text => text.map(str::to_owned),
        };
        let groq = prompt("prompt_botlive_groq_70b", "prompt_botlive_groq_70b_too_long");
        let deepseek = prompt("prompt_botlive_deepseek_v3", "prompt_botlive_deepseek_v3_too_long");
        Self { name: name.unwrap_or_else(|| company_id.to_owned()), ai_name, groq, deepseek, missing }
    }
}

/// Makes the company of an old configuration.
pub(super) async fn adopt_config(
    tx: &mut SystemTx,
    row: &OldRow,
    hints: &AdoptionHints,
    is_new: bool,
) -> Result<MissingParts, RowError> {
    let company_id = row.text("company_id").ok_or(RowError::Refused("no_company_id"))?;
    let texts = Texts::read(row, company_id);
    if !is_new {
        return Ok(texts.missing);
    }
    let mapping = find_mapping(tx, company_id).await?;
    let owner = row.uuid("user_id").or_else(|| mapping.as_ref().and_then(|mapping| mapping.uuid("user_id")));
    let tenant = mapping.as_ref().and_then(|mapping| mapping.uuid("uuid"));
    create(tx, company_id, tenant, owner, hints, &texts).await?;
    Ok(texts.missing)
}

/// Makes the company of an old mapping that has no configuration.
pub(super) async fn adopt_mapping(
    tx: &mut SystemTx,
    row: &OldRow,
    hints: &AdoptionHints,
    is_new: bool,
) -> Result<MissingParts, RowError> {
    let company_id = row.text("company_id").ok_or(RowError::Refused("no_company_id"))?;
    let tenant = row.uuid("uuid").ok_or(RowError::Refused("no_uuid"))?;
    if !is_new {
        return Ok(Vec::new());
    }
    let known = sqlx::query_scalar!("select uuid from company_mapping where company_id = $1", company_id)
        .fetch_optional(&mut *tx);
    match known.await? {
        Some(known) if known == tenant => Ok(Vec::new()),
        Some(_) => Err(RowError::Refused("company_id_taken")),
        None => {
            let texts = Texts::read(row, company_id);
            create(tx, company_id, Some(tenant), row.uuid("user_id"), hints, &texts).await?;
            Ok(Vec::new())
        }
    }
}

/// The old mapping of a company; `None` when the old project has none.
async fn find_mapping(tx: &mut SystemTx, company_id: &str) -> sqlx::Result<Option<OldRow>> {
    let exists = sqlx::query_scalar!(r#"select to_regclass('legacy.company_mapping') is not null as "exists!""#);
    if !exists.fetch_one(&mut *tx).await? {
        return Ok(None);
    }
    // Not checked at compile time: only an old project has this table.
    let select = "select to_jsonb(old)::text from legacy.company_mapping old where company_id = $1 limit 1";
    let json: Option<String> = sqlx::query_scalar(select).bind(company_id).fetch_optional(tx).await?;
    json.map(|json| OldRow::read(json, "company_id")).transpose()
}

/// Makes a company with its owner's membership, its mapping and its configuration.
async fn create(
    tx: &mut SystemTx,
    company_id: &str,
    tenant: Option<Uuid>,
    owner: Option<Uuid>,
    hints: &AdoptionHints,
    texts: &Texts,
) -> Result<(), RowError> {
    let owner = owner.or_else(|| hints.owners.get(company_id).copied()).ok_or(RowError::Refused("no_owner"))?;
    let account = sqlx::query_scalar!(r#"select deleted_at is null as "is_active!" from users where id = $1"#, owner);
    if account.fetch_optional(&mut *tx).await? != Some(true) {
        return Err(RowError::Refused("owner_has_no_account"));
    }
    let known = sqlx::query_scalar!("select user_id from company_mapping where company_id = $1", company_id);
    match known.fetch_optional(&mut *tx).await? {
        // The owner has made the company here before the adoption.
        Some(known) if known == owner => return Ok(()),
        Some(_) => return Err(RowError::Refused("company_id_taken")),
        None => {}
    }
    let made = sqlx::query_scalar!(
        r#"
        with tenant as (
            insert into customers (id, user_id, name, plan_id)
            values (coalesce($1, gen_random_uuid()), $2, $3, (select id from plans where name = 'free'))
            on conflict on constraint customers_user_id_key do nothing
            returning id
        ), owner as (
            insert into customer_members (customer_id, user_id, role) select id, $2, 'owner' from tenant
        )
        select id from tenant
        "#,
        tenant,
        owner,
        texts.name
    );
    let tenant = made.fetch_optional(&mut *tx).await?.ok_or(RowError::Refused("owner_has_another_company"))?;
    sqlx::query!(
        "insert into company_mapping (uuid, company_id, user_id) values ($1, $2, $3)",
        tenant,
        company_id,
        owner
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        r#"
        insert into company_rag_configs (company_id, user_id, company_name, ai_name, prompt_botlive_groq_70b,
            prompt_botlive_deepseek_v3)
        values ($1, $2, $3, coalesce($4, 'Lisa'), $5, $6)
        "#,
        company_id,
        owner,
        texts.name,
        texts.ai_name,
        texts.groq,
        texts.deepseek
    )
    .execute(&mut *tx)
    .await?;
    record(tx, tenant).await?;
    Ok(())
}

/// Writes the entry that begins the company's audit log.
async fn record(tx: &mut SystemTx, tenant: Uuid) -> sqlx::Result<()> {
    let entry = NewAuditEntry {
        actor: None,
        action: "customer.adopted",
        object: format!("customer:{tenant}"),
        request_id: None,
        details: serde_json::json!({}),
    };
    audit::record_for(tx, Some(tenant), &entry).await
}

/// Finds the tenant of an old TEXT `company_id`. Only a company that was adopted counts: anybody may have signed up here with
/// a name that gives the same `company_id`.
pub(super) async fn find_by_company_id(tx: &mut SystemTx, row: &OldRow) -> Result<(Uuid, String), RowError> {
    let company_id = row.id("company_id").ok_or(RowError::Refused("no_company_id"))?;
    let tenant = sqlx::query_scalar!(
        r#"
        select uuid from company_mapping mapping
        where company_id = $1 and exists (
            select from legacy.adopted_rows
            where relation in ('company_rag_configs', 'company_mapping') and row_key = mapping.company_id
        )
        "#,
        company_id
    );
    let tenant = tenant.fetch_optional(tx).await?.ok_or(RowError::Refused("unknown_company"))?;
    Ok((tenant, company_id))
}

/// Finds the tenant of an old UUID `company_id`, as [`find_by_company_id`] does.
pub(super) async fn find_by_uuid(tx: &mut SystemTx, row: &OldRow) -> Result<Uuid, RowError> {
    let id = row.uuid("company_id").ok_or(RowError::Refused("no_company_id"))?;
    let tenant = sqlx::query_scalar!(
        r#"
        select uuid from company_mapping mapping
        where uuid = $1 and exists (
            select from legacy.adopted_rows
            where relation in ('company_rag_configs', 'company_mapping') and row_key = mapping.company_id
        )
        "#,
        id
    );
    tenant.fetch_optional(tx).await?.ok_or(RowError::Refused("unknown_company"))
}
