//! The two scripts. Amounts are added by Redis itself, as 64-bit integers; only comparisons go through Lua's floating
//! point, which is off by less than a millionth of a millionth there.
//!
//! A tenant has a sorted set of reservations by when they end (`KEYS[1]`), a hash of what each of them holds (`KEYS[2]`),
//! and a counter for each meter and window (the rest). All have the tenant's name in braces, so that a cluster keeps
//! them together.

/// Sets amounts aside on every counter, or on none; a counter of which nothing is wanted does not refuse.
///
/// Arguments: now, when the reservation ends, its id; then for each counter the amount, the limit and how long the counter
/// is kept (0: for ever). Answers with the number of the counter that refused, 0 where none did, and what is used of each.
/// Reservations that are past their end are taken back first.
pub(super) const RESERVE: &str = r"
local late = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, id in ipairs(late) do
  local held = redis.call('HGET', KEYS[2], id)
  if held then
    for counter, amount in string.gmatch(held, '(%S+) (%d+)') do
      if redis.call('EXISTS', counter) == 1 then redis.call('DECRBY', counter, amount) end
    end
    redis.call('HDEL', KEYS[2], id)
  end
  redis.call('ZREM', KEYS[1], id)
end
local used = {}
local refused = 0
local again = redis.call('HEXISTS', KEYS[2], ARGV[3]) == 1
for i = 3, #KEYS do
  local at = 4 + (i - 3) * 3
  used[i - 2] = redis.call('GET', KEYS[i]) or '0'
  local wanted = tonumber(ARGV[at])
  if not again and refused == 0 and wanted > 0 and tonumber(used[i - 2]) + wanted > tonumber(ARGV[at + 1]) then
    refused = i - 2
  end
end
if refused == 0 and not again then
  local held = {}
  for i = 3, #KEYS do
    local at = 4 + (i - 3) * 3
    redis.call('INCRBY', KEYS[i], ARGV[at])
    used[i - 2] = redis.call('GET', KEYS[i])
    if ARGV[at + 2] ~= '0' then redis.call('PEXPIRE', KEYS[i], ARGV[at + 2]) end
    held[#held + 1] = KEYS[i] .. ' ' .. ARGV[at]
  end
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
  redis.call('HSET', KEYS[2], ARGV[3], table.concat(held, ' '))
end
return {tostring(refused), unpack(used)}
";

/// Replaces what a reservation holds by what was spent.
///
/// Arguments: until when it is remembered that this was done, the reservation's id; then for each counter what to add where
/// the reservation is still held, what to add where it is not, and how long the counter is kept (0: for ever).
pub(super) const SETTLE: &str = r"
local held = redis.call('HGET', KEYS[2], ARGV[2])
if held == 'settled' then return '0' end
for i = 3, #KEYS do
  local at = 3 + (i - 3) * 3
  local amount = held and ARGV[at] or ARGV[at + 1]
  if amount ~= '0' then
    redis.call('INCRBY', KEYS[i], amount)
    if ARGV[at + 2] ~= '0' then redis.call('PEXPIRE', KEYS[i], ARGV[at + 2]) end
  end
end
redis.call('HSET', KEYS[2], ARGV[2], 'settled')
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
return '1'
";
