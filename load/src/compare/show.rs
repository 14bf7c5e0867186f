//! A comparison for people: a table for the terminal, and a report.

use comfy_table::{CellAlignment, ContentArrangement, Table as TextTable, presets};

use super::figures::{ArmFigures, Comparison, FreshFigures, HttpArm, MergeFigures, MixFigures, Ratio};
use crate::progress::grouped;
use crate::report::{Axis, Block, Plot, PlotKind, Report, Scale, Section, Series, Table};

/// The comparison as text.
pub fn table(found: &Comparison) -> String {
    let mut text = format!("{}\n", lead(found));
    let tables = [
        ("natural mix: 50 pages to a post", natural(found)),
        ("Twip mix: post 1, check 100, follow 10, log out 5", twip(found)),
        ("windows and freshness", fresh(found)),
        ("over HTTP, timelines warm", http(found)),
        ("merges in memory", merge(found)),
        ("goals", goals(found)),
    ];
    for (title, table) in tables {
        text += &format!("\n{title}\n{}\n", plain(table));
    }
    for out in &found.left_out {
        text += &format!("\nleft out: {}: {}\n", out.arm, out.why);
    }
    text.trim_end().to_owned()
}

fn plain(table: Table) -> String {
    let mut shown = TextTable::new();
    shown.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    shown.set_header(table.head).add_rows(table.rows);
    for column in shown.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    shown.trim_fmt()
}

/// The comparison as a report.
pub fn report(found: &Comparison) -> Report {
    let met = found.ratios.iter().filter(|ratio| ratio.met).count();
    let section = |title: &str, note: String, blocks| Section { title: title.to_owned(), note, blocks };
    let abouts: Vec<String> = found.arms.iter().map(|arm| format!("{}: {}.", arm.name, arm.about)).collect();
    let out: Vec<String> = found.left_out.iter().map(|out| format!("Left out: {}: {}.", out.arm, out.why)).collect();
    Report {
        title: "Tributary beside its peers".to_owned(),
        lead: format!("{met} of {} goals met. {}", found.ratios.len(), lead(found)),
        sections: vec![
            section("Goals", "The engine against each peer; the median of the rounds' ratios.".to_owned(), vec![Block::Table(goals(found))]),
            section(
                "Natural mix",
                "50 pages to a post, 30% of visits with a second page. Processor time is that of the whole mix, for a million \
                 pages."
                    .to_owned(),
                vec![Block::Table(natural(found)), bars(found)],
            ),
            section("Twip mix", "Post 1, check 100, follow 10, log out 5, 70% active.".to_owned(), vec![Block::Table(twip(found))]),
            section(
                "Windows and freshness",
                "From acknowledged to visible for a follower, nothing else running. Without fan-out, posts are written and \
                 never delivered."
                    .to_owned(),
                vec![Block::Table(fresh(found))],
            ),
            section(
                "Over HTTP",
                "The same requests and the same bytes; server and client have one thread each.".to_owned(),
                vec![Block::Table(http(found))],
            ),
            section(
                "Merges in memory",
                "Pages of 20 in one thread, without stores, posts and pages, while the world goes on.".to_owned(),
                vec![Block::Table(merge(found))],
            ),
            section("The arms", [abouts, out].concat().join(" "), Vec::new()),
        ],
    }
}

fn lead(found: &Comparison) -> String {
    let world = found.world;
    let [users, follows, posts] = [world.users, world.follows, world.posts].map(grouped);
    format!(
        "{users} users, {follows} follows, {posts} posts; {} rounds of {} s, medians, {} operations at a time; {} pages of \
         each arm agreed with the truth.",
        found.rounds, found.seconds, found.at_a_time, found.pages_checked
    )
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn natural(found: &Comparison) -> Table {
    mix(found, |arm| Some(arm.natural))
}

fn twip(found: &Comparison) -> Table {
    mix(found, |arm| arm.twip)
}

fn mix(found: &Comparison, of: fn(&ArmFigures) -> Option<MixFigures>) -> Table {
    let names = [
        "arm",
        "operations/s",
        "reads/s",
        "posts/s",
        "deliveries/s",
        "p50, ms",
        "p99, ms",
        "CPU s per M reads: this process",
        "servers",
    ];
    let row = |arm: &ArmFigures| {
        let Some(mix) = of(arm) else {
            return std::iter::once(arm.name.clone()).chain(vec!["\u{2013}".to_owned(); 8]).collect();
        };
        let rates = [mix.operations_per_second, mix.reads_per_second, mix.posts_per_second, mix.deliveries_per_second];
        let mut row = vec![arm.name.clone()];
        row.extend(rates.map(|rate| grouped(rate.round() as u64)));
        row.extend([mix.read_p50_ms, mix.read_p99_ms].map(|ms| format!("{ms:.3}")));
        row.push(format!("{:.1}", mix.cpu_client_per_million_reads));
        row.push(shown(mix.cpu_servers_per_million_reads, 1));
        row
    };
    Table { head: head(&names), rows: found.arms.iter().map(row).collect() }
}

fn fresh(found: &Comparison) -> Table {
    let names = ["arm", "bytes an entry", "visible after, p50, ms", "p99, ms", "without fan-out: visible", "p99, ms"];
    let row = |arm: &ArmFigures| {
        let FreshFigures { posts, visible, p99_ms, .. } = arm.fresh_without_fan_out;
        vec![
            arm.name.clone(),
            shown(arm.bytes_per_entry, 1),
            shown(arm.fresh.p50_ms, 2),
            shown(arm.fresh.p99_ms, 2),
            format!("{visible} of {posts}"),
            shown(p99_ms, 2),
        ]
    };
    Table { head: head(&names), rows: found.arms.iter().map(row).collect() }
}

fn http(found: &Comparison) -> Table {
    let row = |name: &str, arm: HttpArm| {
        vec![
            name.to_owned(),
            grouped(arm.reads_per_second.round() as u64),
            format!("{:.1}", arm.server_us_per_read),
            format!("{:.0}%", arm.client_share * 100.0),
        ]
    };
    Table {
        head: head(&["server", "reads/s", "server CPU, us a read", "client's share of CPU"]),
        rows: vec![row("tributary", found.http.tributary), row("bare", found.http.bare)],
    }
}

fn merge(found: &Comparison) -> Table {
    let MergeFigures { readers, warm_us, cold_us, chain_and_heap_us, many, many_us, collect_and_sort_us } = found.merge;
    let of_readers = format!("{} readers", grouped(readers as u64));
    let of_many = format!("readers of {}", grouped(many as u64));
    let row = |who: &str, how: &str, us: f64| vec![format!("{who}: {how}"), format!("{us:.2}")];
    Table {
        head: head(&["page of 20", "us"]),
        rows: vec![
            row(&of_readers, "from L1", warm_us),
            row(&of_readers, "from the ring alone", cold_us),
            row(&of_readers, "chain and heap", chain_and_heap_us),
            row(&of_many, "from the ring alone", many_us),
            row(&of_many, "collect, sort, truncate", collect_and_sort_us),
        ],
    }
}

fn goals(found: &Comparison) -> Table {
    let row = |ratio: &Ratio| {
        let sign = if ratio.at_least { "\u{2265}" } else { "\u{2264}" };
        let met = if ratio.met { "met" } else { "missed" };
        vec![ratio.what.clone(), format!("{:.2}", ratio.value), format!("{sign} {}", ratio.goal), met.to_owned()]
    };
    Table { head: head(&["what", "found", "goal", ""]), rows: found.ratios.iter().map(row).collect() }
}

fn bars(found: &Comparison) -> Block {
    let points = |of: fn(&ArmFigures) -> Option<MixFigures>| {
        let values = found.arms.iter().map(of).enumerate();
        values.filter_map(|(n, mix)| Some((n as f64, mix?.operations_per_second))).collect()
    };
    let arms = found.arms.iter().map(|arm| arm.name.clone()).collect();
    Block::Plot(Plot {
        title: "Operations a second".to_owned(),
        kind: PlotKind::Bars,
        x: Axis { label: "arm".to_owned(), scale: Scale::Linear, labels: arms },
        y: Axis { label: "operations a second, logarithmic".to_owned(), scale: Scale::Log, labels: Vec::new() },
        series: vec![
            Series { name: "natural mix".to_owned(), points: points(|arm| Some(arm.natural)) },
            Series { name: "Twip mix".to_owned(), points: points(|arm| arm.twip) },
        ],
    })
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "\u{2013}".to_owned(), |value| format!("{value:.digits$}"))
}
