-- What the migrations' role makes from here on is closed to every other role until it is granted.
--
-- PostgreSQL lets everybody execute a new function. Such a built-in privilege can only be taken away for all schemas: the
-- default privileges of one schema add to it. So functions that this role makes elsewhere need a grant, too. Tables and
-- sequences are closed to everybody but the roles that Supabase's own default privileges name, in the schema public; the
-- first migration has taken those away.
alter default privileges revoke execute on functions from public;

do $$
declare
    own text;
begin
    foreach own in array array['public', 'app'] loop
        execute format('alter default privileges in schema %I revoke all on tables from anon, authenticated, service_role', own);
        execute format(
            'alter default privileges in schema %I revoke all on functions from anon, authenticated, service_role', own
        );
        execute format(
            'alter default privileges in schema %I revoke all on sequences from anon, authenticated, service_role', own
        );
    end loop;
end
$$;
