-- What a company configures by itself: its own sentences, the notices that it wants, and the configuration of its
-- assistant, with the versions of it.
set local lock_timeout = '3s';

alter table customers add column muted_notices text[] not null default '{}';
comment on column customers.muted_notices is 'types of activities that the company does not want to be told';
alter table customers add constraint customers_muted_notices_few check (cardinality(muted_notices) <= 50);
grant update (muted_notices) on customers to lisa_tenant;

alter table company_rag_configs add column customer_texts jsonb not null default '{}';
comment on column company_rag_configs.customer_texts is
    'the company''s own greeting, refusal and handover, each by language; the product''s where one is missing';
alter table company_rag_configs add constraint company_rag_configs_customer_texts_object
    check (jsonb_typeof(customer_texts) = 'object' and length(customer_texts::text) <= 20000);

grant update (ai_name, prompt_botlive_groq_70b, prompt_botlive_deepseek_v3, prompt_rag, language, handover_keywords,
    business_hours, show_sources, unsupported_messages, outside_hours, handover_minutes, customer_texts)
    on company_rag_configs to lisa_tenant;
create policy company_rag_configs_tenant_update on company_rag_configs for update to lisa_tenant
    using (company_id = (select app.current_company())) with check (company_id = (select app.current_company()));

-- A version has the configuration before a change, and the user who made the change: by the token of Supabase, or by the
-- setting app.user_id of the API's transaction.
create or replace function app.keep_config_version() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
begin
    new.updated_at := now();
    insert into public.config_versions (company_id, config, changed_by)
        values (old.company_id, to_jsonb(old),
            coalesce(auth.uid(), nullif(current_setting('app.user_id', true), '')::uuid));
    delete from public.config_versions stale
        where stale.company_id = old.company_id
          and stale.id <= (
              select kept.id from public.config_versions kept
              where kept.company_id = old.company_id order by kept.id desc offset 20 limit 1
          );
    return new;
end
$body$;

create policy config_versions_tenant on config_versions for select to lisa_tenant
    using (company_id = (select app.current_company()));
grant select on config_versions to lisa_tenant;
