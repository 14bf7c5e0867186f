//! What a comparison found, as numbers: the fields of `--json`.

use serde::Serialize;

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The world.
    pub world: WorldFigures,
    /// How often each arm had its turn.
    pub rounds: usize,
    /// How long a turn was.
    pub seconds: f64,
    /// Operations under way at a time.
    pub at_a_time: usize,
    /// Pages that were compared with the naive truth before anything was timed, of each arm.
    pub pages_checked: usize,
    /// The arms.
    pub arms: Vec<ArmFigures>,
    /// The engine over HTTP against a bare server.
    pub http: HttpFigures,
    /// Its merges in memory against the textbook's.
    pub merge: MergeFigures,
    /// Arms that could not be had, and were not asked for by name.
    pub left_out: Vec<LeftOut>,
    /// The engine against the others, with the goals of the design.
    pub ratios: Vec<Ratio>,
}

/// The world that all arms held.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WorldFigures {
    /// Users.
    pub users: u64,
    /// Follows.
    pub follows: u64,
    /// Posts.
    pub posts: u64,
}

/// One arm. Rates and times are medians of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct ArmFigures {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// 50 pages to a post.
    pub natural: MixFigures,
    /// Post 1, check 100, follow 10, log out 5; none where the arm cannot follow.
    pub twip: Option<MixFigures>,
    /// Bytes that an entry of a full window takes; none where there are no full windows.
    pub bytes_per_entry: Option<f64>,
    /// From acknowledged to visible.
    pub fresh: FreshFigures,
    /// The same, while fan-out is stopped.
    pub fresh_without_fan_out: FreshFigures,
}

/// One mix on one arm.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct MixFigures {
    /// Pages a second.
    pub reads_per_second: f64,
    /// Posts a second.
    pub posts_per_second: f64,
    /// Pairs of a post and a reader who can see it, a second.
    pub deliveries_per_second: f64,
    /// Operations of any kind a second.
    pub operations_per_second: f64,
    /// Time of a page, in the middle.
    pub read_p50_ms: f64,
    /// Time of a page, of the slowest in a hundred the fastest.
    pub read_p99_ms: f64,
    /// Seconds of the processor in this process for a million pages, with all that the mix does beside them.
    pub cpu_client_per_million_reads: f64,
    /// The same in the servers; none where they are somebody else's.
    pub cpu_servers_per_million_reads: Option<f64>,
}

/// How soon posts were visible to a follower.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct FreshFigures {
    /// Posts that were tried.
    pub posts: usize,
    /// Of these, visible within a second.
    pub visible: usize,
    /// Of the visible ones, in the middle.
    pub p50_ms: Option<f64>,
    /// Of the visible ones, of the slowest in a hundred the fastest.
    pub p99_ms: Option<f64>,
}

/// Reads of warm timelines over HTTP, one core for each side. The client's share is that of all time used.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HttpFigures {
    /// The engine's server.
    pub tributary: HttpArm,
    /// A bare hyper server that returns the same bytes.
    pub bare: HttpArm,
}

/// Pages of 20 merged in memory in one thread, in microseconds a page.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MergeFigures {
    /// Readers of the world who took turns.
    pub readers: usize,
    /// The engine, from the window in L1, brought forward through the ring.
    pub warm_us: f64,
    /// The engine, from the ring alone.
    pub cold_us: f64,
    /// The textbook's chain and heap.
    pub chain_and_heap_us: f64,
    /// Authors that a reader of many follows.
    pub many: usize,
    /// The engine for such a reader, from the ring alone.
    pub many_us: f64,
    /// Collect everything, sort, truncate, for such a reader.
    pub collect_and_sort_us: f64,
}

/// One server.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct HttpArm {
    /// Pages a second.
    pub reads_per_second: f64,
    /// Time that the server used for a page.
    pub server_us_per_read: f64,
    /// The client's share of the time that both used.
    pub client_share: f64,
}

/// An arm that is not there.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub arm: String,
    /// Why.
    pub why: String,
}

/// The engine against another arm.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// What is compared.
    pub what: String,
    /// The median of the rounds' ratios, or the one value.
    pub value: f64,
    /// What the design wants.
    pub goal: f64,
    /// Whether the goal is a least or a most.
    pub at_least: bool,
    /// Whether it is met.
    pub met: bool,
}

impl Ratio {
    /// One that wants at least `goal`.
    pub fn at_least(what: String, value: f64, goal: f64) -> Self {
        Self { what, value, goal, at_least: true, met: value >= goal }
    }

    /// One that wants at most `goal`.
    pub fn at_most(what: String, value: f64, goal: f64) -> Self {
        Self { what, value, goal, at_least: false, met: value <= goal }
    }
}

/// The middle of some values; 0 where there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl MixFigures {
    /// The median of each figure over the rounds.
    pub fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        let servers: Option<Vec<f64>> = rounds.iter().map(|round| round.cpu_servers_per_million_reads).collect();
        Self {
            reads_per_second: of(|round| round.reads_per_second),
            posts_per_second: of(|round| round.posts_per_second),
            deliveries_per_second: of(|round| round.deliveries_per_second),
            operations_per_second: of(|round| round.operations_per_second),
            read_p50_ms: of(|round| round.read_p50_ms),
            read_p99_ms: of(|round| round.read_p99_ms),
            cpu_client_per_million_reads: of(|round| round.cpu_client_per_million_reads),
            cpu_servers_per_million_reads: servers.map(median),
        }
    }
}
