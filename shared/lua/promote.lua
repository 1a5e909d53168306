-- Move what is due from the ZSET to its stream. Any number of consumers may run it.
-- KEYS     1 ZSET, then the streams of the lanes, that of `normal` first: it also takes what belongs to a lane that is not among them
-- ARGV     how many at most, then the names of the lanes in the same order
-- RETURNS  how many were moved, milliseconds until the next is due (-1: none is waiting)
local streams = {}
for i = 2, #KEYS do streams[ARGV[i]] = KEYS[i] end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now), 'LIMIT', 0, tonumber(ARGV[1]))
for _, member in ipairs(due) do
  local stream = streams[string.sub(member, 38)] or KEYS[2]
  redis.call('XADD', stream, '*', 'id', string.sub(member, 1, 36))
  redis.call('ZREM', KEYS[1], member)
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #first == 0 then return {#due, -1} end
return {#due, math.max(0, math.ceil((tonumber(first[2]) - now) * 1000))}
