-- Takes one of ARGV[1] calls in ARGV[2] seconds from KEYS[1], as app.take_rate does.
-- Times in microseconds; numbers are returned as text, since Redis cuts decimals off.
local time = redis.call('TIME')
local at = tonumber(time[1]) * 1000000 + tonumber(time[2])
local most, window = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000000
local state = redis.call('HMGET', KEYS[1], 'start', 'count', 'previous')
local start, count, previous = tonumber(state[1] or at), tonumber(state[2] or 0), tonumber(state[3] or 0)
local elapsed = (at - start) / window
if elapsed >= 2 then
    start, count, previous, elapsed = at, 0, 0, 0
elseif elapsed >= 1 then
    start, previous, count, elapsed = start + window, count, 0, elapsed - 1
end
local used = previous * (1 - elapsed) + count
local allowed = used + 1 <= most
local retry_after = 0
if allowed then
    redis.call('HSET', KEYS[1], 'start', string.format('%.0f', start), 'count', count + 1, 'previous', previous)
    redis.call('PEXPIRE', KEYS[1], math.ceil(window / 500))
    used = used + 1
elseif count >= most then
    retry_after = 1 - elapsed + (count - most + 1) / count
else
    retry_after = 1 - (most - 1 - count) / previous - elapsed
end
local seconds = window / 1000000
return {
    allowed and 1 or 0,
    tostring(math.max(math.floor(most - used), 0)),
    tostring(seconds * (1 - elapsed)),
    tostring(seconds * retry_after),
}
