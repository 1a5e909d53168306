-- Hand a consumer at most ARGV[3] new entries in all. XREADGROUP's COUNT is per stream, so three streams could give three times as many
-- as there are free slots. Each queue first gets its share; what the others leave is then divided in the order of the keys, within the
-- limits of the queues.
-- KEYS     streams, in the order in which they are served
-- ARGV     group, consumer, count, number of queues n, n shares, n limits, then for each key the number of its queue
-- RETURNS  flat: number of the key, entry id, job id ('' for an entry without one), again and again
local left, queues, taken = tonumber(ARGV[3]), tonumber(ARGV[4]), {}
local share, limit, empty = {}, {}, {}
for queue = 1, queues do
  share[queue], limit[queue] = tonumber(ARGV[4 + queue]), tonumber(ARGV[4 + queues + queue])
end
local function read(number, key, queue, want)
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', want, 'STREAMS', key, '>')
  local entries = reply and reply[1][2] or {}
  for _, entry in ipairs(entries) do
    local id, fields = '', entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'id' then id = fields[i + 1] end
    end
    taken[#taken + 1], taken[#taken + 2], taken[#taken + 3] = number, entry[1], id
  end
  empty[number] = #entries < want
  left, share[queue], limit[queue] = left - #entries, share[queue] - #entries, limit[queue] - #entries
end
for pass = 1, 2 do
  for number, key in ipairs(KEYS) do
    local queue = tonumber(ARGV[4 + 2 * queues + number])
    local want = math.min(left, limit[queue], pass == 1 and share[queue] or left)
    if want > 0 and not empty[number] then read(number, key, queue, want) end
  end
end
return taken
