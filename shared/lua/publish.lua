-- Put jobs into a stream, to be run as soon as a worker is free.
-- KEYS     1 stream
-- ARGV     job ids
-- RETURNS  how many
for _, id in ipairs(ARGV) do
  redis.call('XADD', KEYS[1], '*', 'id', id)
end
return #ARGV
