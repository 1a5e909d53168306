-- Note by which clock the ZSET was filled, unless somebody else has begun to fill it again meanwhile.
-- KEYS     1 note
-- ARGV     the note that was left when the filling began, the new one
-- RETURNS  1 when it was noted
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
