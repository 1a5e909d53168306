-- How far delivery has come: every entry that was added longer ago than this has been handed to a consumer.
-- KEYS     streams
-- ARGV     group
-- RETURNS  for each stream the age in milliseconds of the oldest entry that nobody has read, 0 when all are read, -1 when nobody can say
--          because the clock was set back since the newest was added; error NOGROUP
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function last_delivered(key)
  for _, group in ipairs(redis.pcall('XINFO', 'GROUPS', key)) do
    local info = {}
    for i = 1, #group, 2 do info[group[i]] = group[i + 1] end
    if info['name'] == ARGV[1] then return info['last-delivered-id'] end
  end
end
local function is_ahead(key)
  local newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
  return tonumber(string.match(newest[1][1], '^%d+')) > now
end
local ages = {}
for number, key in ipairs(KEYS) do
  local last = last_delivered(key)
  if not last then return redis.error_reply('NOGROUP no such consumer group') end
  local unread = redis.call('XRANGE', key, '(' .. last, '+', 'COUNT', 1)
  if #unread == 0 then
    ages[number] = 0
  else
    ages[number] = is_ahead(key) and -1 or now - tonumber(string.match(unread[1][1], '^%d+'))
  end
end
return ages
