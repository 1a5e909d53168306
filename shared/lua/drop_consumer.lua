-- Remove a consumer that is gone, unless entries are still pending with it: XGROUP DELCONSUMER would lose them.
-- KEYS     streams
-- ARGV     group, consumer
-- RETURNS  in how many streams entries are pending
local busy = 0
for _, key in ipairs(KEYS) do
  local pending = redis.pcall('XPENDING', key, ARGV[1], '-', '+', 1, ARGV[2])
  if pending.err == nil then
    if #pending > 0 then
      busy = busy + 1
    else
      redis.call('XGROUP', 'DELCONSUMER', key, ARGV[1], ARGV[2])
    end
  end
end
return busy
