-- Jobs that are due later. Delays are relative, so that only Redis's own clock counts here.
-- KEYS     1 ZSET, 2 stream that the entries are in
-- ARGV     group, then triples of member, delay in seconds, old entry id ('' for none)
-- RETURNS  how many
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
for i = 2, #ARGV, 3 do
  redis.call('ZADD', KEYS[1], string.format('%.6f', now + tonumber(ARGV[i + 1])), ARGV[i])
  if ARGV[i + 2] ~= '' then
    redis.call('XACK', KEYS[2], ARGV[1], ARGV[i + 2])
    redis.call('XDEL', KEYS[2], ARGV[i + 2])
  end
end
return (#ARGV - 1) / 3
