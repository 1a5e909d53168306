-- How far delivery has come: every entry that was added longer ago than this has been handed to a consumer.
-- KEYS     1 stream
-- ARGV     group
-- RETURNS  age in milliseconds of the oldest entry that nobody has read, 0 when all are read; error NOGROUP
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, group in ipairs(redis.pcall('XINFO', 'GROUPS', KEYS[1])) do
  local info = {}
  for i = 1, #group, 2 do info[group[i]] = group[i + 1] end
  if info['name'] == ARGV[1] then
    local unread = redis.call('XRANGE', KEYS[1], '(' .. info['last-delivered-id'], '+', 'COUNT', 1)
    if #unread == 0 then return 0 end
    return math.max(0, now - tonumber(string.match(unread[1][1], '^%d+')))
  end
end
return redis.error_reply('NOGROUP no such consumer group')
