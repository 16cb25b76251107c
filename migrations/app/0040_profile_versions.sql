-- A version of each profile. A cached copy with another version is out of date, whoever changed the row: the API, the
-- projection of a subscription, the quota, or a front end through Supabase.
set local lock_timeout = '3s';

alter table profiles add column version bigint not null default 1;
comment on column profiles.version is 'number of the row''s changes: a cached copy with another version is out of date';

create function app.count_profile_change() returns trigger
    language plpgsql set search_path = '' as
$body$
begin
    new.version := old.version + 1;
    new.updated_at := now();
    return new;
end
$body$;
revoke all on function app.count_profile_change() from public;
create trigger profiles_version before update on profiles
    for each row when (old.* is distinct from new.*) execute function app.count_profile_change();
