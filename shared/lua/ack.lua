-- Entries whose jobs are settled: acknowledge and delete them (XACK alone would leave them in the stream).
-- KEYS     1 stream
-- ARGV     group, entry ids
-- RETURNS  how many were deleted
local deleted = 0
for first = 2, #ARGV, 1000 do
  local last = math.min(first + 999, #ARGV)
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, first, last))
  deleted = deleted + redis.call('XDEL', KEYS[1], unpack(ARGV, first, last))
end
return deleted
