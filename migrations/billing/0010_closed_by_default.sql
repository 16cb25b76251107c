-- What the migrations' role makes in this database from here on is closed to every other role until it is granted. In a
-- database of billing's own no migration of the app says so.
alter default privileges revoke execute on functions from public;
