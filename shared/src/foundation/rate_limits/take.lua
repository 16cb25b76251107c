-- Counts a call under KEYS[1] if it is within ARGV[1] calls per ARGV[2] seconds. The algorithm is that of the SQL
-- function app.take_rate. Returns: allowed (1 or 0), calls left, seconds until the window ends, seconds until the next
-- call is allowed. Times are in microseconds inside the script. Fractions are returned as text, because Redis truncates
-- Lua numbers to integers.
local time = redis.call('TIME')
local at = tonumber(time[1]) * 1000000 + tonumber(time[2])
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000000
local state = redis.call('HMGET', KEYS[1], 'start', 'count', 'previous')
local start, count, previous = tonumber(state[1] or at), tonumber(state[2] or 0), tonumber(state[3] or 0)
local elapsed = (at - start) / window
if elapsed >= 2 then
    start, count, previous, elapsed = at, 0, 0, 0
elseif elapsed >= 1 then
    start, previous, count, elapsed = start + window, count, 0, elapsed - 1
end
local used = previous * (1 - elapsed) + count
local allowed = used + 1 <= limit
local retry_after = 0
if allowed then
    redis.call('HSET', KEYS[1], 'start', string.format('%.0f', start), 'count', count + 1, 'previous', previous)
    redis.call('PEXPIRE', KEYS[1], math.ceil(window / 500))
    used = used + 1
elseif count >= limit then
    retry_after = 1 - elapsed + (count - limit + 1) / count
else
    retry_after = 1 - (limit - 1 - count) / previous - elapsed
end
local seconds = window / 1000000
return {
    allowed and 1 or 0,
    tostring(math.max(math.floor(limit - used), 0)),
    tostring(seconds * (1 - elapsed)),
    tostring(seconds * retry_after),
}
