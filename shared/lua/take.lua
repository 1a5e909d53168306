-- Hand a consumer at most ARGV[3] new entries in all. XREADGROUP's COUNT is per stream, so three streams could give three times as many
-- as there are free slots.
-- KEYS     streams, in the order in which they are served
-- ARGV     group, consumer, count
-- RETURNS  flat: number of the key, entry id, job id ('' for an entry without one), again and again
local left, taken = tonumber(ARGV[3]), {}
for number, key in ipairs(KEYS) do
  if left <= 0 then break end
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', left, 'STREAMS', key, '>')
  for _, entry in ipairs(reply and reply[1][2] or {}) do
    local id, fields = '', entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'id' then id = fields[i + 1] end
    end
    left = left - 1
    taken[#taken + 1], taken[#taken + 2], taken[#taken + 3] = number, entry[1], id
  end
end
return taken
