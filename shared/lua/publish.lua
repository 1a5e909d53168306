-- Put jobs into a stream, to be run as soon as a worker is free.
-- KEYS     1 stream
-- ARGV     job ids, in one word: a client spends longer on many arguments than Lua on cutting one up
-- RETURNS  how many
for first = 1, #ARGV[1], 36 do
  redis.call('XADD', KEYS[1], '*', 'id', string.sub(ARGV[1], first, first + 35))
end
return #ARGV[1] / 36
