-- Take entries from a consumer that is gone, however short the time since their delivery seems: the clock may have been set back. In one
-- step, so that none is taken from whoever has got it meanwhile. Those that the stream has lost are acknowledged.
-- KEYS     1 stream
-- ARGV     group, consumer that is gone, consumer that takes, how many at most
-- RETURNS  flat: entry id, job id ('' for an entry without one), again and again
local taken = {}
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', tonumber(ARGV[4]), ARGV[2])) do
  local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, pending[1])[1]
  if entry then
    local id, fields = '', entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'id' then id = fields[i + 1] end
    end
    taken[#taken + 1], taken[#taken + 2] = entry[1], id
  else
    redis.call('XACK', KEYS[1], ARGV[1], pending[1])
  end
end
return taken
