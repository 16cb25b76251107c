//! Inventory of the tables: what an export holds and what a purge deletes, each exception with its reason. A test compares
//! it with the catalogs of both databases, and the rows of an export and of a purge with it.

/// A table, with its share in an export and in a purge.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Schema and name, such as `public.messages`.
    pub name: &'static str,
    /// Share of the table in an export.
    pub export: Export,
    /// Share of the table in a purge.
    pub purge: Purge,
}

/// Share of a table in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// The company's rows are in the archive.
    Rows,
    /// The archive has no rows of the table, for this reason.
    LeftOut(&'static str),
}

/// Share of a table in a purge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// The company's rows are deleted.
    Rows,
    /// The rows of those accounts are deleted that belong to no other company.
    WithAccount,
    /// The rows are kept, for this reason.
    Kept(&'static str),
}

impl Table {
    const fn new(name: &'static str, export: Export, purge: Purge) -> Self {
        Self { name, export, purge }
    }

    /// A table without rows of companies.
    const fn without_tenant(name: &'static str, reason: &'static str) -> Self {
        Self { name, export: Export::LeftOut(reason), purge: Purge::Kept(reason) }
    }

    /// Name without the schema.
    #[must_use]
    pub fn short_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, name)| name)
    }

    /// True for a table of the schema `billing`.
    #[must_use]
    pub fn is_of_billing(&self) -> bool {
        self.name.starts_with("billing.")
    }
}

/// Every table of the schemas `public` and `billing`, by name. The ledgers of the migrations are left out.
pub const TABLES: &[Table] = &[
    Table::new("billing.duplicate_subscriptions", Export::Rows, Purge::WithAccount),
    Table::new("billing.stripe_customers", Export::Rows, Purge::WithAccount),
    Table::new(
        "billing.stripe_events",
        Export::LeftOut("Stripe's messages; what they say is in the subscriptions and the bills"),
        Purge::WithAccount,
    ),
    Table::new("billing.subscription_states", Export::Rows, Purge::WithAccount),
    Table::new("billing.subscriptions", Export::Rows, Purge::WithAccount),
    Table::new("billing.user_config", Export::Rows, Purge::WithAccount),
    Table::new("public.activities", Export::Rows, Purge::Rows),
    Table::new("public.approved_answers", Export::Rows, Purge::Rows),
    Table::new(
        "public.audit_heads",
        Export::LeftOut("the hash of the last audit entry, by which the log is checked"),
        Purge::Kept("proves that the audit log is whole; holds no personal data"),
    ),
    Table::new(
        "public.audit_log",
        Export::Rows,
        Purge::Kept("proves the deletion itself; entries hold ids and counts only"),
    ),
    Table::new(
        "public.billing_notices",
        Export::LeftOut("keys of notices about Stripe's objects, by which none is told twice"),
        Purge::WithAccount,
    ),
    Table::new(
        "public.billing_records",
        Export::Rows,
        Purge::Kept("accounts must be kept by law; the rows hold amounts and ids only"),
    ),
    Table::new("public.bot_sessions", Export::Rows, Purge::Rows),
    Table::new("public.bot_usage", Export::Rows, Purge::Rows),
    Table::new(
        "public.changes",
        Export::LeftOut("ids of the last seven days, of rows that are in the export"),
        Purge::Rows,
    ),
    Table::new("public.checkout_sessions", Export::Rows, Purge::Rows),
    Table::new("public.closed_questions", Export::Rows, Purge::Rows),
    Table::new("public.company_mapping", Export::Rows, Purge::Rows),
    Table::new("public.company_rag_configs", Export::Rows, Purge::Rows),
    Table::new("public.config_versions", Export::Rows, Purge::Rows),
    Table::new("public.conversations", Export::Rows, Purge::Rows),
    Table::new("public.credentials", Export::LeftOut("hashes of passwords"), Purge::WithAccount),
    Table::new("public.customer_members", Export::Rows, Purge::Rows),
    Table::new("public.customers", Export::Rows, Purge::Rows),
    Table::new("public.document_chunks", Export::Rows, Purge::Rows),
    Table::new("public.document_pages", Export::Rows, Purge::Rows),
    Table::new("public.documents", Export::Rows, Purge::Rows),
    Table::new("public.exports", Export::Rows, Purge::Rows),
    Table::new(
        "public.failed_sign_ins",
        Export::LeftOut("counters of the present hour; the audit log has their sums"),
        Purge::Rows,
    ),
    Table::new("public.feedback", Export::Rows, Purge::Rows),
    Table::new("public.first_answer_times", Export::Rows, Purge::Rows),
    Table::new("public.golden_questions", Export::Rows, Purge::Rows),
    Table::new(
        "public.idempotency_keys",
        Export::LeftOut("copies of answers, kept for a day; their rows are in the export"),
        Purge::Rows,
    ),
    Table::new("public.ingest_slots", Export::LeftOut("places in the queue of documents"), Purge::Rows),
    Table::new("public.invitations", Export::Rows, Purge::Rows),
    Table::new("public.jobs", Export::LeftOut("work in progress: ids of rows that are in the export"), Purge::Rows),
    Table::new("public.llm_calls", Export::Rows, Purge::Rows),
    Table::new("public.messages", Export::Rows, Purge::Rows),
    Table::new("public.order_days", Export::Rows, Purge::Rows),
    Table::new("public.orders", Export::Rows, Purge::Rows),
    Table::new("public.outbox", Export::Rows, Purge::Rows),
    Table::new("public.password_resets", Export::LeftOut("hashes of links"), Purge::WithAccount),
    Table::without_tenant("public.plan_prices", "prices of the plans"),
    Table::without_tenant("public.plans", "the plans"),
    Table::new("public.preview_counts", Export::Rows, Purge::Rows),
    Table::new("public.products", Export::Rows, Purge::Rows),
    Table::new("public.profiles", Export::Rows, Purge::WithAccount),
    Table::new(
        "public.purges",
        Export::LeftOut("exists only after the account"),
        Purge::Kept("counts of deleted rows; holds no personal data"),
    ),
    Table::without_tenant("public.rate_limits", "counters of the last minutes"),
    Table::new("public.reembedded_chunks", Export::LeftOut("vectors of the texts that are in the export"), Purge::Rows),
    Table::new("public.refresh_sessions", Export::LeftOut("hashes of sessions"), Purge::WithAccount),
    Table::new("public.reservations", Export::Rows, Purge::Rows),
    Table::without_tenant("public.task_progress", "the place at which a task of maintenance continues"),
    Table::new("public.tenant_notices", Export::Rows, Purge::Rows),
    Table::without_tenant("public.unconfirmed_days", "one number a day for all accounts"),
    Table::new("public.unread_webhook_bodies", Export::Rows, Purge::Rows),
    Table::new("public.usage_periods", Export::Rows, Purge::Rows),
    Table::new("public.user_settings", Export::Rows, Purge::WithAccount),
    Table::new("public.users", Export::Rows, Purge::WithAccount),
    Table::new("public.webhook_deliveries", Export::Rows, Purge::Rows),
    Table::new("public.webhook_endpoints", Export::Rows, Purge::Rows),
    Table::new("public.webhook_secrets", Export::Rows, Purge::Rows),
];

/// Key prefixes of a company in the bucket, each with its share in an export and in a purge. `{tenant}` stands for
/// `customers.id`. A longer prefix is an exception to a shorter one.
pub const BUCKET_PREFIXES: &[(&str, Export, Purge)] = &[
    ("tenants/{tenant}/", Export::Rows, Purge::Rows),
    ("tenants/{tenant}/exports/", Export::LeftOut("archives of earlier exports"), Purge::Rows),
];

/// Columns that an export leaves out of a table's rows: table, column and reason. They hold secrets and their hashes,
/// or are computed from exported texts.
pub const HIDDEN_COLUMNS: &[(&str, &str, &str)] = &[
    ("public.customers", "manychat_api_key", "sealed key of the ManyChat bot"),
    ("public.document_chunks", "embedding", "vector of the text"),
    ("public.document_chunks", "embedding_bits", "vector of the text"),
    ("public.document_chunks", "search_text", "folded copy of the text"),
    ("public.document_chunks", "short_bits", "vector of the text"),
    ("public.document_chunks", "short_embedding", "vector of the text"),
    ("public.document_chunks", "tsv", "index of the text"),
    ("public.invitations", "token_sha256", "hash of the link"),
    ("public.webhook_endpoints", "previous_secret", "sealed secret"),
    ("public.webhook_endpoints", "secret", "sealed secret"),
    ("public.webhook_secrets", "sealed_value", "sealed secret"),
    ("public.webhook_secrets", "sha256", "hash of the secret"),
    ("billing.user_config", "data_pod_api_key", "sealed key of the data pod"),
];
