-- When a person last gave a conversation back, or left it to the bot: what was said before that is answered as it is, and
-- hands the conversation over no second time.
alter table conversations add column released_at timestamptz;
comment on column conversations.released_at is 'when the bot last took over from a person';

-- Conversations of a phone number.
create index conversations_user_phone_idx on conversations (customer_id, user_phone, last_message_at desc, id desc);
