-- The order in which contacts wrote, courtesies, and one name of a company.
set lock_timeout = '3s';

-- When a contact wrote a message. Webhooks may arrive in another order.
alter table messages add column interacted_at timestamptz;
comment on column messages.interacted_at is 'of a contact''s message: last_interaction as ManyChat sent it; null when it sent none that can be read';
alter table conversations add column opt_changed_at timestamptz;
comment on column conversations.opt_changed_at is 'when the contact wrote the last STOP or START that counted; null when ManyChat did not say';

-- A courtesy that needs no answer.
alter table messages drop constraint messages_skipped_reason_known;
alter table messages add constraint messages_skipped_reason_known
    check (skipped_reason in ('quota', 'opted_out', 'failed', 'superseded', 'courtesy')) not valid;

-- One name of a company: customers.name. The frontends read company_rag_configs.company_name, which follows it.
create function app.on_customer_renamed() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
begin
    update public.company_rag_configs config set company_name = new.name
    from public.company_mapping mapping
    where mapping.uuid = new.id and config.company_id = mapping.company_id
      and config.company_name is distinct from new.name;
    return null;
end
$body$;
revoke all on function app.on_customer_renamed() from public;
create trigger customers_renamed after update of name on customers
    for each row when (old.name is distinct from new.name) execute function app.on_customer_renamed();
update company_rag_configs config set company_name = tenant.name
from customers tenant join company_mapping mapping on mapping.uuid = tenant.id
where config.company_id = mapping.company_id and config.company_name is distinct from tenant.name;
