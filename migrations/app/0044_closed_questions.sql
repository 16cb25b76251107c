-- Closed questions are no longer unanswered, and the plans are public.
set local lock_timeout = '3s';

create or replace view unanswered with (security_invoker = true) as
    select reply.id as message_id, reply.customer_id, reply.conversation_id, reply.channel, asked.question,
        reply.created_at
    from messages reply
    cross join lateral (
        select string_agg(message.content, E'\n' order by message.created_at, message.id) as question
        from messages message where message.answered_by = reply.id and message.content <> ''
    ) asked
    where reply.answered = false and asked.question is not null
      and not exists (select from closed_questions closed where closed.message_id = reply.id);

-- What anybody may know of a plan.
create function app.public_plans() returns table (name text, monthly_request_limit integer, storage_limit_mb integer,
    price_cents integer, currency text, overage_cents_per_request integer, is_sold boolean)
    language sql stable security definer set search_path = '' as
$body$
    select plan.name, plan.monthly_request_limit, plan.storage_limit_mb, plan.price_cents, plan.currency,
        plan.overage_cents_per_request, coalesce(plan.stripe_price_id, '') <> ''
    from public.plans plan order by plan.price_cents, plan.name
$body$;
revoke all on function app.public_plans() from public;
grant execute on function app.public_plans() to lisa_app;
