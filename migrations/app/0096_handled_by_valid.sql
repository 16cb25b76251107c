-- Every older row passes: the column was null in all of them.
alter table conversations validate constraint conversations_handled_by_fkey;
