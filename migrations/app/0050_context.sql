-- The member whom the Context Loader describes. A tenant's transaction sees only the owner's account and profile.

create function app.own_member(wanted uuid) returns table (email text, full_name text, avatar_url text, role text)
    language sql stable security definer set search_path = '' as
$body$
    select account.email, profile.full_name::text, profile.avatar_url, member.role
    from public.customer_members member
    join public.users account on account.id = member.user_id and account.deleted_at is null
    left join public.profiles profile on profile.id = member.user_id
    where member.customer_id = app.current_customer() and member.user_id = wanted
$body$;
revoke all on function app.own_member(uuid) from public;
grant execute on function app.own_member(uuid) to lisa_tenant;
