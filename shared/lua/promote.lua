-- Move what is due from the ZSET to its stream. Any number of consumers may run it.
-- KEYS     1 ZSET, 2 stream for high, 3 for normal, 4 for low
-- ARGV     how many at most
-- RETURNS  how many were moved, milliseconds until the next is due (-1: none is waiting)
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now), 'LIMIT', 0, tonumber(ARGV[1]))
for _, member in ipairs(due) do
  local stream, id = KEYS[3], member
  if string.sub(member, 37) == ':high' then
    stream, id = KEYS[2], string.sub(member, 1, 36)
  elseif string.sub(member, 37) == ':low' then
    stream, id = KEYS[4], string.sub(member, 1, 36)
  end
  redis.call('XADD', stream, '*', 'id', id)
  redis.call('ZREM', KEYS[1], member)
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #first == 0 then return {#due, -1} end
return {#due, math.max(0, math.ceil((tonumber(first[2]) - now) * 1000))}
