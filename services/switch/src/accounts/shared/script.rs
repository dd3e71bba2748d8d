//! The two scripts. Amounts are added by Redis itself, as 64-bit integers; only comparisons go through Lua's floating
//! point, which is off by less than a millionth of a millionth there.
//!
//! A tenant has a sorted set of reservations by when they end (`KEYS[1]`), a hash of what each of them holds
//! (`KEYS[2]`), the number of its life and of the calls in it (`KEYS[3]`), and a counter for each meter and window (the
//! rest). All have the tenant's name in braces, so that a cluster keeps them together.
//!
//! Redis may lose all of it. Then a new life begins, and who asks brings what it knows: a counter that is not there
//! begins with that, and one that is there is raised to it once for each asker and life. Within a life a counter may
//! well be lower than what one asker has seen last, because others have given back what they had reserved.

/// A script that writes nothing before it has looked whether it can write all: an error in its midst would leave a
/// part, once for every repetition. `broken` says what is no counter; `add` adds to one, to nine million million
/// million at most.
///
/// It can fill in what Redis has lost. `fill` is given the place of the first counter's arguments and the number for a
/// new life, and returns the one at hand and how many calls there were in it. The third argument of each counter is how
/// long it is kept (0: for ever), the fourth what it has at least, and the fifth the life in which the asker was last
/// answered.
macro_rules! with_fill {
    ($script:literal) => {
        concat!(
            r"
local most = 9000000000000000000
local function is_counter(used)
  return type(used) == 'string' and string.match(used, '^-?%d+$') ~= nil and math.abs(tonumber(used)) <= most
end
local function broken()
  redis.call('ZCARD', KEYS[1])
  redis.call('HLEN', KEYS[2])
  redis.call('HLEN', KEYS[3])
  for i = 4, #KEYS do
    local used = redis.call('GET', KEYS[i])
    if used and not is_counter(used) then return redis.error_reply('ERR counter ' .. (i - 3) .. ' is no number') end
  end
end
local function add(key, amount)
  if tonumber(redis.call('GET', key) or '0') + tonumber(amount) > most then
    redis.call('SET', key, string.format('%.0f', most))
  else
    redis.call('INCRBY', key, amount)
  end
end
local function fill(first, new)
  local life = redis.call('HGET', KEYS[3], 'life')
  if not life then
    life = new
    redis.call('HSET', KEYS[3], 'life', life)
  end
  for i = 4, #KEYS do
    local at = first + (i - 4) * 5
    local kept, least = ARGV[at + 2], ARGV[at + 3]
    local used = redis.call('GET', KEYS[i])
    local is_less = used and ARGV[at + 4] ~= life and tonumber(used) < tonumber(least)
    if tonumber(least) > 0 and (not used or is_less) then
      redis.call('SET', KEYS[i], least)
      if kept ~= '0' then redis.call('PEXPIRE', KEYS[i], kept) end
    end
  end
  return life, tostring(redis.call('HINCRBY', KEYS[3], 'turn', 1))
end
",
            $script
        )
    };
}

/// Sets amounts aside on every counter, or on none; a counter of which nothing is wanted does not refuse.
///
/// Arguments: now, when the reservation ends, its id, the number of a new life; then for each counter the amount, the
/// limit, and those of `fill`. Answers with the number of the counter that refused, 0 where none did, the life, the
/// call's number, and what is used of each. Reservations that are past their end are taken back first.
pub(super) const RESERVE: &str = with_fill!(
    r"
local fault = broken()
if fault then return fault end
local late = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, id in ipairs(late) do
  local held = redis.call('HGET', KEYS[2], id)
  if held then
    for counter, amount in string.gmatch(held, '(%S+) (%d+)') do
      -- One that is broken keeps no other reservation from being taken back.
      if is_counter(redis.pcall('GET', counter)) then redis.call('DECRBY', counter, amount) end
    end
    redis.call('HDEL', KEYS[2], id)
  end
  redis.call('ZREM', KEYS[1], id)
end
local life, turn = fill(5, ARGV[4])
local used = {}
local refused = 0
local again = redis.call('HEXISTS', KEYS[2], ARGV[3]) == 1
for i = 4, #KEYS do
  local at = 5 + (i - 4) * 5
  used[i - 3] = redis.call('GET', KEYS[i]) or '0'
  local wanted = tonumber(ARGV[at])
  if not again and refused == 0 and wanted > 0 and tonumber(used[i - 3]) + wanted > tonumber(ARGV[at + 1]) then
    refused = i - 3
  end
end
if refused == 0 and not again then
  local held = {}
  for i = 4, #KEYS do
    local at = 5 + (i - 4) * 5
    add(KEYS[i], ARGV[at])
    used[i - 3] = redis.call('GET', KEYS[i])
    if ARGV[at + 2] ~= '0' then redis.call('PEXPIRE', KEYS[i], ARGV[at + 2]) end
    held[#held + 1] = KEYS[i] .. ' ' .. ARGV[at]
  end
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
  redis.call('HSET', KEYS[2], ARGV[3], table.concat(held, ' '))
end
return {tostring(refused), life, turn, unpack(used)}
"
);

/// Replaces what a reservation holds by what was spent.
///
/// Arguments: until when it is remembered that this was done, the reservation's id, the number of a new life; then for
/// each counter what to add where the reservation is still held, what to add where it is not, and those of `fill`.
/// Answers with the life, the call's number, and what is used of each.
pub(super) const SETTLE: &str = with_fill!(
    r"
local fault = broken()
if fault then return fault end
local life, turn = fill(4, ARGV[3])
local held = redis.call('HGET', KEYS[2], ARGV[2])
local used = {}
for i = 4, #KEYS do
  local at = 4 + (i - 4) * 5
  local amount = held and ARGV[at] or ARGV[at + 1]
  if held ~= 'settled' and amount ~= '0' then
    add(KEYS[i], amount)
    if ARGV[at + 2] ~= '0' then redis.call('PEXPIRE', KEYS[i], ARGV[at + 2]) end
  end
  used[i - 3] = redis.call('GET', KEYS[i]) or '0'
end
redis.call('HSET', KEYS[2], ARGV[2], 'settled')
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
return {life, turn, unpack(used)}
"
);
