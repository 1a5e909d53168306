-- Jobs that must run again: add first, acknowledge last, because a script that fails half-way is not rolled back.
-- KEYS     1 stream
-- ARGV     group, then pairs of old entry id and job id
-- RETURNS  how many
for i = 2, #ARGV, 2 do
  redis.call('XADD', KEYS[1], '*', 'id', ARGV[i + 1])
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
  redis.call('XDEL', KEYS[1], ARGV[i])
end
return (#ARGV - 1) / 2
