//! Rate limits that all nodes share (laws 8 and 9): the generic cell rate algorithm in one script, as `http/limits.rs`
//! of the server has it in process. Redis holds one number a caller: when they will have paid for all they did, by
//! Redis's own clock. Nothing else is asked of Redis, and it is asked for five milliseconds at the most: where it
//! does not answer, the node decides by itself.

use std::sync::Arc;
use std::time::Duration;

use redis::cmd;

use super::error::NodeError;
use super::shards::RedisShards;
use crate::limits::SHARED_RATE_TIMEOUT;
use crate::model::UserId;

/// KEYS: the caller. ARGV: what a request costs, and how far ahead of the present a caller may be, both in
/// microseconds. Returns how many microseconds too early the request is; where it is not, 0 or, below it, how many more
/// the caller may still be ahead.
/// Microseconds since 1970 are far below 2^53, up to which a Lua number is exact.
const SCRIPT: &str = "\
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local paid = tonumber(redis.call('GET', KEYS[1]) or 0)
local after = math.max(paid, now) + ARGV[1]
local early = after - now - ARGV[2]
if early > 0 then return math.ceil(early) end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1)
return math.ceil(early)";

/// Rate limits over the shards' servers.
pub struct SharedRates {
    shards: Arc<RedisShards>,
    /// What Redis calls the script.
    hash: String,
}

impl SharedRates {
    /// Each caller's rate lies on one of the servers.
    pub fn new(shards: Arc<RedisShards>) -> Self {
        Self { shards, hash: redis::Script::new(SCRIPT).get_hash().to_owned() }
    }

    /// Counts a request of a caller: `cost` is the time after which another may follow, `burst` how much of it may be
    /// spent at once. How much of it may be spent still; refused: how long to wait. None where Redis does not say in
    /// time.
    pub async fn charge(&self, key: &[u8], cost: Duration, burst: Duration) -> Option<Result<Duration, Duration>> {
        let nodes = self.shards.nodes();
        let node = &nodes[(hash(key) % nodes.len() as u64) as usize];
        let script = |name: &str, body: &str| {
            let mut script = cmd(name);
            script.arg(body).arg(1).arg(node.keys.rate(key)).arg(micros(cost).max(1)).arg(micros(burst));
            script
        };
        let asked = async {
            let known = script("EVALSHA", &self.hash);
            match node.call_briefly::<i64>(&known, SHARED_RATE_TIMEOUT).await {
                // A server that was restarted; this teaches it.
                Err(NodeError::NoScript) => node.call_briefly(&script("EVAL", SCRIPT), SHARED_RATE_TIMEOUT).await,
                reply => reply,
            }
        };
        let early_us = asked.await.ok()?;
        let time = Duration::from_micros(early_us.unsigned_abs());
        Some(if early_us > 0 { Err(time) } else { Ok(time) })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// FNV-1a, spread: the same on every node, so that they share.
fn hash(key: &[u8]) -> u64 {
    let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    UserId(key.iter().fold(0xCBF2_9CE4_8422_2325, fold)).spread()
}
