//! The keys of a partition in Redis, and the scripts that change several of them at once.
//!
//! The braces make Redis Cluster keep the keys of one partition together; partitions lie anywhere.
//! Each script is one step: no crash leaves half of it. A script that fails does leave half, so none
//! may fail: `0 - n`, for `-0` is no number to Redis.

use redis::Cmd;

/// The consumer group of the workers.
pub(super) const GROUP: &str = "tidewater";
/// The field of an entry that holds the packet, and the one that says how many events are in it.
pub(super) const PACKET: &str = "packet";
pub(super) const EVENTS: &str = "events";

/// The keys of a partition.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The stream.
    pub(super) events: String,
    /// A hash of what lies in it: bytes and events.
    load: String,
    /// What could not be stored, with the reason.
    pub(super) dead: String,
}

impl Keys {
    pub(super) fn new(installation: &str, partition: u16) -> Self {
        let key = |name: &str| format!("tidewater:{{{installation}:{partition}}}:{name}");
        Self {
            events: key("events"),
            load: key("load"),
            dead: key("dead"),
        }
    }

    fn script(&self, text: &str) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(text).arg(3);
        command.arg(&self.events).arg(&self.load).arg(&self.dead);
        command
    }

    /// Appends a packet unless the stream holds `max_bytes`: its id, or nothing. Nothing is ever
    /// trimmed.
    pub(super) fn append(&self, packet: &[u8], events: usize, max_bytes: u64) -> Cmd {
        let mut command = self.script(
            "local bytes = 0
            if redis.call('XLEN', KEYS[1]) > 0 then
                bytes = tonumber(redis.call('HGET', KEYS[2], 'bytes') or 0)
            else
                redis.call('DEL', KEYS[2])
            end
            if bytes >= tonumber(ARGV[3]) then return false end
            redis.call('HINCRBY', KEYS[2], 'bytes', #ARGV[1])
            redis.call('HINCRBY', KEYS[2], 'events', ARGV[2])
            return redis.call('XADD', KEYS[1], '*', 'packet', ARGV[1], 'events', ARGV[2])",
        );
        command.arg(packet).arg(events).arg(max_bytes);
        command
    }

    /// Acknowledges entries and takes them out of the stream: (id, bytes, events) of each.
    pub(super) fn done<'a>(&self, entries: impl Iterator<Item = (&'a str, usize, usize)>) -> Cmd {
        let mut command = self.script(
            "for i = 2, #ARGV, 3 do
                redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
                if redis.call('XDEL', KEYS[1], ARGV[i]) == 1 then
                    redis.call('HINCRBY', KEYS[2], 'bytes', 0 - ARGV[i + 1])
                    redis.call('HINCRBY', KEYS[2], 'events', 0 - ARGV[i + 2])
                end
            end
            if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end",
        );
        command.arg(GROUP);
        for (id, bytes, events) in entries {
            command.arg(id).arg(bytes).arg(events);
        }
        command
    }

    /// Moves an entry to the dead letters.
    pub(super) fn bury(&self, id: &str, bytes: usize, events: usize, why: &str) -> Cmd {
        let mut command = self.script(
            "local entry = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
            if not entry then return end
            local fields = entry[2]
            fields[#fields + 1] = 'why'
            fields[#fields + 1] = ARGV[5]
            redis.call('XADD', KEYS[3], '*', unpack(fields))
            redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
            redis.call('XDEL', KEYS[1], ARGV[2])
            redis.call('HINCRBY', KEYS[2], 'bytes', 0 - ARGV[3])
            redis.call('HINCRBY', KEYS[2], 'events', 0 - ARGV[4])
            if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end",
        );
        command.arg(GROUP).arg(id).arg(bytes).arg(events).arg(why);
        command
    }

    /// How it stands: whether there is a stream, entries, dead letters, bytes, events, the first
    /// entry's id, and the milliseconds of Redis' clock.
    pub(super) fn look(&self) -> Cmd {
        self.script(
            "local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
            local load = redis.call('HMGET', KEYS[2], 'bytes', 'events')
            local time = redis.call('TIME')
            return {redis.call('EXISTS', KEYS[1]), redis.call('XLEN', KEYS[1]),
                redis.call('XLEN', KEYS[3]), tonumber(load[1] or 0), tonumber(load[2] or 0),
                first and first[1] or '', time[1] * 1000 + math.floor(time[2] / 1000)}",
        )
    }

    /// Makes pending what was delivered, is not pending, and lies there nevertheless since before
    /// `until`: nobody would ever be given it again. Says how many.
    pub(super) fn adopt(&self, consumer: &str, until: &str) -> Cmd {
        let mut command = self.script(
            "local function before(a, b)
                local am, as = string.match(a, '(%d+)-(%d+)')
                local bm, bs = string.match(b, '(%d+)-(%d+)')
                am, as, bm, bs = tonumber(am), tonumber(as), tonumber(bm), tonumber(bs)
                return am < bm or (am == bm and as <= bs)
            end
            local given = '0-0'
            for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
                local is_ours
                for i = 1, #group, 2 do
                    if group[i] == 'name' then is_ours = group[i + 1] == ARGV[1] end
                    if group[i] == 'last-delivered-id' and is_ours then given = group[i + 1] end
                end
            end
            local adopted = 0
            for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', ARGV[3], 'COUNT', 10)) do
                local id = entry[1]
                local is_pending = #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1) > 0
                if before(id, given) and not is_pending then
                    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'IDLE', 86400000,
                        'FORCE', 'JUSTID')
                    adopted = adopted + 1
                end
            end
            return adopted",
        );
        command.arg(GROUP).arg(consumer).arg(until);
        command
    }

    /// Forgets consumers that have nothing pending: the one of that name, and those that were not
    /// heard of for that long.
    pub(super) fn forget_consumers(&self, own: &str, idle_millis: i64) -> Cmd {
        let mut command = self.script(
            "for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
                local is = {}
                for i = 1, #consumer, 2 do is[consumer[i]] = consumer[i + 1] end
                if is.pending == 0 and (is.name == ARGV[2] or is.idle > tonumber(ARGV[3])) then
                    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], is.name)
                end
            end",
        );
        command.arg(GROUP).arg(own).arg(idle_millis);
        command
    }

    /// Makes the stream and its group; fails where they are there.
    pub(super) fn make_group(&self) -> Cmd {
        let mut command = redis::cmd("XGROUP");
        command.arg("CREATE").arg(&self.events).arg(GROUP).arg("0");
        command.arg("MKSTREAM");
        command
    }

    /// Reads what nobody was given yet.
    pub(super) fn read(&self, consumer: &str, count: usize, block_millis: Option<u64>) -> Cmd {
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(consumer);
        command.arg("COUNT").arg(count);
        if let Some(millis) = block_millis {
            command.arg("BLOCK").arg(millis);
        }
        command.arg("STREAMS").arg(&self.events).arg(">");
        command
    }

    /// Takes over what was given to somebody and not acknowledged for that long.
    pub(super) fn claim(
        &self,
        consumer: &str,
        idle_millis: u128,
        start: &str,
        count: usize,
    ) -> Cmd {
        let mut command = redis::cmd("XAUTOCLAIM");
        command.arg(&self.events).arg(GROUP).arg(consumer);
        command.arg(idle_millis.to_string()).arg(start);
        command.arg("COUNT").arg(count);
        command
    }

    /// Says that these are still being worked on; answers with those that are still pending.
    pub(super) fn renew<'a>(&self, consumer: &str, ids: impl Iterator<Item = &'a str>) -> Cmd {
        let mut command = redis::cmd("XCLAIM");
        command.arg(&self.events).arg(GROUP).arg(consumer).arg(0);
        for id in ids {
            command.arg(id);
        }
        command.arg("JUSTID");
        command
    }

    /// How often this was delivered.
    pub(super) fn deliveries(&self, id: &str) -> Cmd {
        let mut command = redis::cmd("XPENDING");
        command.arg(&self.events).arg(GROUP).arg(id).arg(id).arg(1);
        command
    }
}
