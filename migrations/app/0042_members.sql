-- Members of a company: invitations with a role that can be revoked, the transfer of the ownership, and one-time links by
-- which a member sets a new password.
set local lock_timeout = '3s';

alter table invitations add column role text not null default 'support';
alter table invitations add column revoked_at timestamptz;
alter table invitations add constraint invitations_role_known check (role in ('owner', 'support'));
create policy invitations_tenant on invitations to lisa_tenant
    using (customer_id = (select app.current_customer())) with check (customer_id = (select app.current_customer()));
-- Only the system role reads the hashes.
grant select (id, customer_id, email, role, created_by, created_at, expires_at, used_at, used_by, revoked_at),
    insert (customer_id, token_sha256, email, role, created_by, expires_at), update (revoked_at, expires_at)
    on invitations to lisa_tenant;

-- The account owner is a member always.
create policy customer_members_tenant_delete on customer_members for delete to lisa_tenant
    using (customer_id = (select app.current_customer()) and user_id <> (select app.current_owner()));
grant delete on customer_members to lisa_tenant;
create index customer_members_created_at_idx on customer_members (customer_id, created_at desc, user_id desc);

create function app.own_members() returns table (customer_id uuid, user_id uuid, email text, full_name text,
    role text, is_account_owner boolean, created_at timestamptz)
    language sql stable security definer set search_path = '' as
$body$
    select member.customer_id, member.user_id, account.email, profile.full_name::text, member.role,
        tenant.user_id = member.user_id, member.created_at
    from public.customer_members member
    join public.customers tenant on tenant.id = member.customer_id
    join public.users account on account.id = member.user_id and account.deleted_at is null
    left join public.profiles profile on profile.id = member.user_id
    where member.customer_id = app.current_customer()
$body$;
revoke all on function app.own_members() from public;
grant execute on function app.own_members() to lisa_tenant;

-- Makes another member the account owner, and returns what happened: transferred, or what is in the way. The former owner
-- stays as a support user. The free quota is the owner's, so a new owner has used at least as much of it as the former
-- one: a transfer gives no new free answers.
create function app.transfer_ownership(old_owner uuid, new_owner uuid) returns text
    language plpgsql security definer set search_path = '' as
$body$
declare
    tenant uuid := app.current_customer();
begin
    if old_owner = new_owner then
        return 'is_owner';
    end if;
    -- The projection of a subscription locks the users first, then the tenant.
    perform from public.users account where account.id in (old_owner, new_owner) order by account.id for update;
    perform from public.customers customer where customer.id = tenant and customer.user_id = old_owner for update;
    if not found then
        return 'changed_meanwhile';
    end if;
    perform from public.customer_members member
        join public.users account on account.id = member.user_id and account.deleted_at is null
        where member.customer_id = tenant and member.user_id = new_owner for update of member;
    if not found then
        return 'not_a_member';
    end if;
    if exists (select from public.customers other where other.user_id = new_owner) then
        return 'owns_company';
    end if;
    -- A subscription belongs to the user who pays for it.
    if exists (
        select from public.users account join public.profiles profile on profile.id = account.id
        where account.id in (old_owner, new_owner)
          and (account.is_pro or profile.subscription_status in ('active', 'trialing', 'past_due', 'unpaid', 'paused',
              'incomplete'))
    ) then
        return 'subscription';
    end if;
    update public.customers set user_id = new_owner where id = tenant;
    update public.company_rag_configs config set user_id = new_owner
        from public.company_mapping mapping
        where mapping.uuid = tenant and config.company_id = mapping.company_id;
    update public.company_mapping set user_id = new_owner where uuid = tenant;
    update public.customer_members member
        set role = case when member.user_id = new_owner then 'owner' else 'support' end
        where member.customer_id = tenant and member.user_id in (old_owner, new_owner);
    update public.user_settings settings set free_quota_used = greatest(settings.free_quota_used, former.free_quota_used)
        from public.user_settings former
        where settings.user_id = new_owner and former.user_id = old_owner;
    -- What is under way is charged or refunded to the owner whose quota counts now.
    update public.reservations set user_id = new_owner where customer_id = tenant and user_id = old_owner;
    -- An invitation of the former owner would be a way back to the role.
    perform app.revoke_made_by(old_owner);
    return 'transferred';
end
$body$;
revoke all on function app.transfer_ownership(uuid, uuid) from public;
grant execute on function app.transfer_ownership(uuid, uuid) to lisa_tenant;

-- One-time links by which a user sets a new password. Only hashes of their tokens are stored.
create table password_resets (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    -- The company whose owner issued the link; null for an administrator's.
    customer_id uuid,
    token_sha256 bytea not null,
    created_by uuid,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    revoked_at timestamptz,
    constraint password_resets_pkey primary key (id),
    constraint password_resets_token_sha256_key unique (token_sha256),
    constraint password_resets_token_length check (length(token_sha256) = 32),
    constraint password_resets_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint password_resets_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint password_resets_created_by_fkey foreign key (created_by) references users (id) on delete set null
);
comment on table password_resets is 'one-time links by which a user sets a new password';
create index password_resets_user_id_idx on password_resets (user_id);
create index password_resets_customer_id_idx on password_resets (customer_id);
create index password_resets_created_by_idx on password_resets (created_by);
-- The maintenance deletes expired links and invitations.
create index password_resets_expires_at_idx on password_resets (expires_at);
create index invitations_expires_at_idx on invitations (expires_at);
alter table password_resets enable row level security;
create policy password_resets_system on password_resets to lisa_system using (true) with check (true);
grant select, insert, update, delete on password_resets to lisa_system;

-- True for a user whose password an owner of the tenant may reset: a support user of this company who belongs to no
-- other. With a link for anybody else, an owner could sign in to another company.
create function app.is_only_support_of(tenant uuid, account uuid) returns boolean
    language sql stable security definer set search_path = '' as
$body$
    select exists (
        select from public.customer_members member
        join public.users known on known.id = member.user_id and known.deleted_at is null
        where member.user_id = account and member.customer_id = tenant and member.role = 'support'
          and known.role <> 'global_admin'
          and not exists (
              select from public.customer_members other
              where other.user_id = account and other.customer_id <> tenant
          )
    )
$body$;
revoke all on function app.is_only_support_of(uuid, uuid) from public;
grant execute on function app.is_only_support_of(uuid, uuid) to lisa_system;

-- Issues a link for a member of the transaction's tenant, and revokes the older ones. Returns what happened: issued, or
-- what is in the way.
create function app.issue_password_reset(member uuid, issuer uuid, token_sha256 bytea, hours integer) returns text
    language plpgsql security definer set search_path = '' as
$body$
declare
    tenant uuid := app.current_customer();
begin
    -- A removal of the issuer waits for this lock, or is seen after it.
    perform from public.customers where id = tenant for no key update;
    perform from public.customer_members known
        join public.users account on account.id = known.user_id and account.deleted_at is null
        where known.customer_id = tenant and known.user_id = member for share of known;
    if not found or not exists (
        select from public.customer_members owner
        where owner.customer_id = tenant and owner.user_id = issuer and owner.role = 'owner'
    ) then
        return 'not_a_member';
    end if;
    if not app.is_only_support_of(tenant, member) then
        return case when exists (
            select from public.customer_members known
            where known.customer_id = tenant and known.user_id = member and known.role = 'owner'
        ) then 'is_owner' else 'belongs_elsewhere' end;
    end if;
    -- The lock on the credentials serialises the issue of links with a change of the password.
    perform from public.credentials known where known.user_id = member for update;
    if not found then
        return 'no_password';
    end if;
    update public.password_resets reset set revoked_at = now()
        where reset.user_id = member and reset.used_at is null and reset.revoked_at is null;
    insert into public.password_resets (user_id, customer_id, token_sha256, created_by, expires_at)
        values (member, tenant, token_sha256, issuer, now() + make_interval(hours => hours));
    return 'issued';
end
$body$;
revoke all on function app.issue_password_reset(uuid, uuid, bytea, integer) from public;
grant execute on function app.issue_password_reset(uuid, uuid, bytea, integer) to lisa_tenant;

-- Revokes what a removed member could return by: the invitations and the links that the member made.
create function app.revoke_made_by(member uuid) returns void
    language sql security definer set search_path = '' as
$body$
    -- It expires, too: the code of before knows no revocation, and may run for minutes longer.
    update public.invitations set revoked_at = now(), expires_at = least(expires_at, now())
        where customer_id = app.current_customer() and created_by = member and used_at is null and revoked_at is null;
    update public.password_resets set revoked_at = now()
        where customer_id = app.current_customer() and (created_by = member or user_id = member)
          and used_at is null and revoked_at is null;
$body$;
revoke all on function app.revoke_made_by(uuid) from public;
grant execute on function app.revoke_made_by(uuid) to lisa_tenant;
