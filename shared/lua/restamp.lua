-- As if everything that is pending had been delivered just now: times of another clock would make it idle for hours, or not for hours.
-- Each entry stays with the consumer that has it.
-- KEYS     1 stream
-- ARGV     group, id to begin at, how many at most
-- RETURNS  the id to go on at, '' at the end
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], '+', tonumber(ARGV[3]))
for _, entry in ipairs(pending) do
  redis.call('XCLAIM', KEYS[1], ARGV[1], entry[2], 0, entry[1], 'JUSTID')
end
if #pending < tonumber(ARGV[3]) then return '' end
return '(' .. pending[#pending][1]
