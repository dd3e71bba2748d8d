//! The two scripts, and the names of what they work on. All have the same word in braces, so that a cluster keeps them
//! together.

/// The hash of all words.
pub(super) const WORDS: &str = "vx11:{replicas}:words";

/// Who makes the probe of this breaker.
pub(super) fn lease(breaker: &str) -> String {
    format!("vx11:{{replicas}}:probe:{breaker}")
}

/// Writes words and answers with all that hold: name, text and milliseconds left of each. Those that are over are
/// removed. A word does not take the place of one that was found out later.
///
/// Arguments: for each word its name, its text, for how many milliseconds it holds (0: it is taken back), and how many
/// ago it was found out.
pub(super) const EXCHANGE: &str = r"
local function parse(word)
  local ends, found, text = string.match(word or '', '^(%d+) (%d+) (.*)$')
  return tonumber(ends), tonumber(found), text
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for i = 1, #ARGV, 4 do
  local left, found = tonumber(ARGV[i + 2]), now - tonumber(ARGV[i + 3])
  local ends, later = parse(redis.call('HGET', KEYS[1], ARGV[i]))
  if left <= 0 then
    redis.call('HDEL', KEYS[1], ARGV[i])
  elseif not ends or ends <= now or later <= found then
    redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f %.0f %s', now + left, found, ARGV[i + 1]))
  end
end
local words = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local ends, _, text = parse(all[i + 1])
  if ends and ends > now then
    words[#words + 1] = all[i]
    words[#words + 1] = text
    words[#words + 1] = string.format('%.0f', ends - now)
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return words
";

/// Gives the probe to who asks, unless another replica has it. Answers with 0, or for how many milliseconds that has
/// it. One that the same replica has given up may not have been taken from it yet: it is given another one.
///
/// Arguments: the replica, the number of its probe, and for how many milliseconds.
pub(super) const LEASE: &str = r"
local holder = redis.call('GET', KEYS[1])
local own = ARGV[1] .. ':'
if holder and string.sub(holder, 1, #own) ~= own then
  return math.max(redis.call('PTTL', KEYS[1]), 1)
end
redis.call('SET', KEYS[1], own .. ARGV[2], 'PX', ARGV[3])
return 0
";

/// Takes a probe from the replica that had it, and no longer makes it, unless it makes another one by now.
///
/// Arguments: the replica, and the number of the probe.
pub(super) const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] .. ':' .. ARGV[2] then redis.call('DEL', KEYS[1]) end
return 0
";
