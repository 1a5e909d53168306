-- Dead letters, with the entries of the jobs that became them.
-- KEYS     1 DLQ stream, 2 stream that the entries are in
-- ARGV     group, then seven a letter: job id, type, reason, error, attempts, when (RFC 3339), old entry id ('' for none)
-- RETURNS  the letters' entry ids in it, in the same order
local placed = {}
for i = 2, #ARGV, 7 do
  placed[#placed + 1] = redis.call('XADD', KEYS[1], '*', 'id', ARGV[i], 'type', ARGV[i + 1], 'reason', ARGV[i + 2],
    'error', ARGV[i + 3], 'attempts', ARGV[i + 4], 'when', ARGV[i + 5])
  if ARGV[i + 6] ~= '' then
    redis.call('XACK', KEYS[2], ARGV[1], ARGV[i + 6])
    redis.call('XDEL', KEYS[2], ARGV[i + 6])
  end
end
return placed
