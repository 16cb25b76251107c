-- The member who took a conversation over, so that lists name the member without reading activities. Null for a handover
-- that nobody has taken, and for takeovers before this migration, which end within the company's handover time.
set lock_timeout = '3s';

alter table conversations add column handled_by uuid;
alter table conversations add constraint conversations_handled_by_fkey
    foreign key (handled_by) references users (id) on delete set null not valid;
