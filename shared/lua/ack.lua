-- Entries whose jobs are settled: acknowledge and delete them (XACK alone would leave them in the stream).
-- KEYS     1 stream
-- ARGV     group, entry ids with spaces in between (a client spends longer on many arguments than Lua on cutting one up)
-- RETURNS  how many were deleted
local ids, deleted = {}, 0
for id in string.gmatch(ARGV[2], '%S+') do
  ids[#ids + 1] = id
end
for first = 1, #ids, 1000 do
  local last = math.min(first + 999, #ids)
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ids, first, last))
  deleted = deleted + redis.call('XDEL', KEYS[1], unpack(ids, first, last))
end
return deleted
