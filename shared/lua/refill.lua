-- Empty the ZSET, unless somebody else has begun to fill it anew meanwhile. Where there was no note it is not known to be wrong, and stays.
-- KEYS     1 ZSET, 2 note by which clock it was filled
-- ARGV     the note that was read ('' for none), the note to leave while it is being filled
-- RETURNS  1 when it is ours to fill
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
if ARGV[1] ~= '' then redis.call('UNLINK', KEYS[1]) end
return 1
