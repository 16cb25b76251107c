-- The events of outgoing webhooks: the functions that write them. Triggers call them in the transaction of the cause, so that
-- an event exists exactly when its cause does, whoever writes the row. A company without an endpoint costs one look into an
-- index. The triggers follow, a file for each table.

-- True when the tenant has an endpoint that is switched on, unless the transaction copies what happened elsewhere, long ago:
-- then the setting `app.without_webhook_events` is on.
create function app.has_webhook_endpoint(tenant uuid) returns boolean
    language sql stable security definer set search_path = '' as
    $body$
    select coalesce(current_setting('app.without_webhook_events', true), '') <> 'on' and exists (
        select from public.webhook_endpoints endpoint where endpoint.customer_id = tenant and endpoint.disabled_at is null
    )
    $body$;
revoke all on function app.has_webhook_endpoint(uuid) from public;

-- Writes one delivery for each endpoint of the tenant that wants the event. `key` names the cause: of two events with one
-- type and key, the second is none, or, where it `replaces`, the first one has the newer object. The setting
-- `app.webhook_endpoints` then names the endpoints, so that the function that runs the transaction can wake the worker
-- after its commit.
create function app.record_webhook_event(
    tenant uuid, kind text, key text, conversation uuid, object jsonb, replaces boolean
) returns void language plpgsql security definer set search_path = '' as
$body$
declare
    endpoints text;
begin
    with wanted as (
        -- Locked, so that an endpoint that is deleted meanwhile gets no delivery and does not break the transaction.
        select endpoint.id from public.webhook_endpoints endpoint
        where endpoint.customer_id = tenant and endpoint.disabled_at is null
          and (endpoint.events = '{}' or kind = any (endpoint.events))
          -- The insertion below would lock the delivery of an earlier transaction.
          and (replaces or not exists (
              select from public.webhook_deliveries known
              where known.endpoint_id = endpoint.id and known.event_id = md5(kind || ':' || key)::uuid
          ))
        for key share
    ), written as (
        insert into public.webhook_deliveries as delivery
            (customer_id, endpoint_id, event_id, event_type, conversation_id, data)
        select tenant, wanted.id, md5(kind || ':' || key)::uuid, kind, conversation, object from wanted
        on conflict on constraint webhook_deliveries_endpoint_id_event_id_key do update
            set data = excluded.data, occurred_at = excluded.occurred_at
            where replaces and delivery.status = 'pending' and delivery.attempts = 0
        returning delivery.endpoint_id
    )
    select string_agg(written.endpoint_id::text, ' ') into endpoints from written;
    if endpoints is not null then
        perform set_config('app.webhook_endpoints',
            concat_ws(' ', nullif(current_setting('app.webhook_endpoints', true), ''), endpoints), true);
    end if;
end
$body$;
revoke all on function app.record_webhook_event(uuid, text, text, uuid, jsonb, boolean) from public;

create function app.on_webhook_message_received() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
begin
    if app.has_webhook_endpoint(new.customer_id) then
        perform app.record_webhook_event(new.customer_id, 'message.received', new.id::text, new.conversation_id,
            jsonb_build_object(
                'id', new.id, 'conversation_id', new.conversation_id, 'direction', new.direction, 'author', new.author,
                'content', new.content, 'attachment', new.attachment, 'citations', new.citations,
                'answered', new.answered, 'model', new.model, 'sent_by', new.sent_by, 'answered_by', new.answered_by,
                'skipped_reason', new.skipped_reason, 'sent_at', new.sent_at, 'error_code', new.error_code,
                'created_at', new.created_at), false);
    end if;
    return null;
end
$body$;
revoke all on function app.on_webhook_message_received() from public;

-- A row of conversations as events show it. It comes as JSON, so that the function does not depend on the table.
create function app.webhook_conversation(conversation jsonb, waiting_reason text) returns jsonb
    language sql immutable set search_path = '' as
    $body$
    select jsonb_object_agg(field.key, field.value) || jsonb_build_object('waiting_reason', waiting_reason)
    from jsonb_each(conversation) field
    where field.key in ('id', 'channel', 'contact_id', 'user_phone', 'display_name', 'language', 'handler',
        'handover_reason', 'handover_until', 'opted_out_at', 'last_message_at', 'created_at')
    $body$;
revoke all on function app.webhook_conversation(jsonb, text) from public;

-- A longer handover of the same kind is no new one.
create function app.on_webhook_handed_over() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
begin
    if app.has_webhook_endpoint(new.customer_id) then
        perform app.record_webhook_event(new.customer_id, 'conversation.handed_over',
            new.id::text || ':' || new.handover_until::text, new.id, app.webhook_conversation(to_jsonb(new), null), true);
    end if;
    return null;
end
$body$;
revoke all on function app.on_webhook_handed_over() from public;

-- One event for as long as the conversation waits: its key is the first message that waits.
create function app.on_webhook_waiting() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
declare
    first_waiting uuid;
    conversation jsonb;
begin
    if not app.has_webhook_endpoint(new.customer_id) then
        return null;
    end if;
    select waiting.id into first_waiting from public.messages waiting
        where waiting.conversation_id = new.conversation_id and waiting.skipped_reason = 'quota'
          and not exists (
              select from public.messages later
              where later.conversation_id = waiting.conversation_id and later.created_at > waiting.created_at
                and (later.author = 'agent' or later.answered is not null)
          )
        order by waiting.created_at, waiting.id
        limit 1;
    if first_waiting is null then
        return null;
    end if;
    select to_jsonb(known) into conversation from public.conversations known where known.id = new.conversation_id;
    perform app.record_webhook_event(new.customer_id, 'conversation.waiting', first_waiting::text, new.conversation_id,
        app.webhook_conversation(conversation, new.skipped_reason), false);
    return null;
end
$body$;
revoke all on function app.on_webhook_waiting() from public;

-- Several updates of an order in one transaction are one event, with the last state.
create function app.on_webhook_order() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
declare
    is_new constant boolean := tg_op = 'INSERT';
begin
    if app.has_webhook_endpoint(new.company_id) then
        perform app.record_webhook_event(new.company_id, case when is_new then 'order.created' else 'order.updated' end,
            new.id::text || case when is_new then '' else ':' || extract(epoch from now())::text end,
            new.conversation_id,
            jsonb_build_object(
                'id', new.id, 'conversation_id', new.conversation_id, 'customer_name', new.customer_name,
                'status', new.status, 'items', new.items, 'total_cents', new.total_cents, 'currency', new.currency,
                'needs_review', new.needs_review, 'created_at', new.created_at, 'updated_at', new.updated_at),
            not is_new);
    end if;
    return null;
end
$body$;
revoke all on function app.on_webhook_order() from public;

create function app.on_webhook_document() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
begin
    if app.has_webhook_endpoint(new.customer_id) then
        perform app.record_webhook_event(new.customer_id, 'document.' || new.status,
            new.id::text || ':' || extract(epoch from now())::text, null,
            jsonb_build_object(
                'id', new.id, 'filename', new.filename, 'status', new.status, 'upload_date', new.upload_date,
                'bytes', new.bytes, 'pages_total', new.pages_total, 'pages_done', new.pages_done,
                'pages_unread', to_jsonb(new.pages_unread), 'error_code', new.error_code,
                'sha256', encode(new.sha256, 'hex'), 'replaces', to_jsonb(new.replaces), 'format', new.format,
                'language', (
                    select config.language from public.company_rag_configs config
                    where config.company_id = new.company_id
                )),
            true);
    end if;
    return null;
end
$body$;
revoke all on function app.on_webhook_document() from public;

-- `limit_name` says what is used up, and `most` how much of it there is. One event for each period and limit: a plan that
-- allows more makes a new one possible.
create function app.record_quota_event(
    tenant uuid, kind text, limit_name text, used bigint, most bigint, plan text,
    period_start timestamptz, period_end timestamptz
) returns void language sql security definer set search_path = '' as
    $body$
    select app.record_webhook_event(tenant, kind,
        concat_ws(':', tenant, limit_name, most, extract(epoch from period_start)), null,
        jsonb_build_object('limit', limit_name, 'used', used, 'most', most, 'plan', plan,
            'period_start', period_start, 'period_end', period_end), false)
    $body$;
revoke all on function app.record_quota_event(uuid, text, text, bigint, bigint, text, timestamptz, timestamptz)
    from public;

-- The free requests of an account: a warning for the last one, as `GET /api/v1/quota/status` shows it.
create function app.on_webhook_free_quota() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
declare
    tenant uuid;
begin
    for tenant in select owned.id from public.customers owned where owned.user_id = new.user_id loop
        if app.has_webhook_endpoint(tenant) then
            perform app.record_quota_event(tenant,
                case when new.free_quota_used >= new.free_quota_limit then 'quota.exhausted' else 'quota.warning' end,
                'free_requests', new.free_quota_used, new.free_quota_limit, 'free', null, null);
        end if;
    end loop;
    return null;
end
$body$;
revoke all on function app.on_webhook_free_quota() from public;

-- The requests of a plan's period and the cost of models in it: a warning at 80 %. Where requests over the plan are sold,
-- the warning is for those that the plan has, and the end is the cap of the company.
create function app.on_webhook_plan_quota() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
declare
    most bigint := new.request_limit;
    cap bigint;
begin
    if not app.has_webhook_endpoint(new.customer_id) then
        return null;
    end if;
    select coalesce(tenant.spend_cap_micros, plan.monthly_spend_cap_micros),
        most + case when new.overage_cents_per_request is null then 0
            else coalesce(tenant.overage_cap_requests, new.request_limit) end
        into cap, most
        from public.customers tenant join public.plans plan on plan.id = tenant.plan_id
        where tenant.id = new.customer_id;
    if old.requests < most and new.requests >= most then
        perform app.record_quota_event(new.customer_id, 'quota.exhausted', 'plan_requests', new.requests, most,
            new.plan, new.period_start, new.period_end);
    elsif old.requests * 100::bigint < new.request_limit * 80::bigint
        and new.requests * 100::bigint >= new.request_limit * 80::bigint then
        perform app.record_quota_event(new.customer_id, 'quota.warning', 'plan_requests', new.requests,
            new.request_limit, new.plan, new.period_start, new.period_end);
    end if;
    if old.spent_micros < cap and new.spent_micros >= cap then
        perform app.record_quota_event(new.customer_id, 'quota.exhausted', 'model_spend', new.spent_micros, cap,
            new.plan, new.period_start, new.period_end);
    elsif old.spent_micros * 100::numeric < cap * 80::numeric and new.spent_micros * 100::numeric >= cap * 80::numeric then
        perform app.record_quota_event(new.customer_id, 'quota.warning', 'model_spend', new.spent_micros, cap,
            new.plan, new.period_start, new.period_end);
    end if;
    return null;
end
$body$;
revoke all on function app.on_webhook_plan_quota() from public;

-- The projection of a subscription writes these columns together, and only when one of them changes.
create function app.on_webhook_subscription() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
declare
    tenant uuid;
begin
    for tenant in select owned.id from public.customers owned where owned.user_id = new.id loop
        if app.has_webhook_endpoint(tenant) then
            perform app.record_webhook_event(tenant, 'subscription.changed',
                new.id::text || ':' || extract(epoch from now())::text, null,
                jsonb_build_object(
                    'plan', coalesce(new.subscription_tier, 'free'), 'status', new.subscription_status,
                    'current_period_start', new.subscription_current_period_start,
                    'current_period_end', new.subscription_current_period_end,
                    'cancel_at_period_end', new.subscription_cancel_at_period_end,
                    'cancel_at', new.subscription_cancel_at, 'access_until', new.subscription_access_until),
                true);
        end if;
    end loop;
    return null;
end
$body$;
revoke all on function app.on_webhook_subscription() from public;
