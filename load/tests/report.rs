//! A report in a browser: headless Chromium shows it in light and in dark, on a wide screen and on a phone, without a
//! word in its console and without a page that has to be scrolled sideways. Skipped, visibly, where no Chromium is.
//!
//! The page is put into a frame of the width that is tested, and a script of the test, which can look into the frame
//! because both are files, writes down how wide the content is. `TRIBUTARY_KEEP` names a folder for pictures.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tributary_load::report::{Axis, Block, Plot, PlotKind, Report, Scale, Section, Series, Table};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name))).find(|file| file.is_file())
}

fn axis(label: &str, scale: Scale, labels: &[&str]) -> Axis {
    Axis { label: label.to_owned(), scale, labels: labels.iter().map(|label| (*label).to_owned()).collect() }
}

fn series(name: &str, points: impl Iterator<Item = (f64, f64)>) -> Series {
    Series { name: name.to_owned(), points: points.collect() }
}

fn plot(title: &str, kind: PlotKind, x: Axis, y: Axis, series: Vec<Series>) -> Block {
    Block::Plot(Plot { title: title.to_owned(), kind, x, y, series })
}

/// Everything that a report can have, with long words, wide tables and many points.
fn report() -> Report {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut noise = |base: f64| base * (0.8 + 0.4 * rng.f64());
    let seconds = || (0..600).map(f64::from);
    let rate = plot(
        "Reads and posts",
        PlotKind::Lines,
        axis("seconds since the start", Scale::Linear, &[]),
        axis("a second", Scale::Linear, &[]),
        vec![
            series(
                "reads",
                seconds().map(|x| (x, noise(12_000.0) + 3_000.0 * (x / 60.0).sin())).collect::<Vec<_>>().into_iter(),
            ),
            series("posts", seconds().map(|x| (x, noise(2_400.0))).collect::<Vec<_>>().into_iter()),
        ],
    );
    let latency = plot(
        "Latency of reads",
        PlotKind::Lines,
        axis("share of reads that took longer", Scale::Log, &[]),
        axis("ms", Scale::Log, &[]),
        ["tributary", "redis-push", "postgres-pull", "bare", "misskey", "mastodon"]
            .iter()
            .zip([0.04, 0.4, 4.0, 0.02, 0.3, 0.6])
            .map(|(name, base)| {
                series(name, (0..100_000).map(move |n| (1.0 / f64::from(n + 1), base * f64::from(n + 2).ln())))
            })
            .collect(),
    );
    let sources = plot(
        "Where reads came from",
        PlotKind::Areas,
        axis("seconds since the start", Scale::Linear, &[]),
        axis("reads a second", Scale::Linear, &[]),
        ["l1", "ring", "shard", "checkpoint", "store"]
            .iter()
            .enumerate()
            .map(|(n, name)| {
                series(
                    name,
                    seconds()
                        .map(|x| (x, 500.0 * (n as f64 + 1.5 + (x / 50.0 + n as f64).sin())))
                        .collect::<Vec<_>>()
                        .into_iter(),
                )
            })
            .collect(),
    );
    let arms = ["tributary", "redis-push", "postgres-pull", "mastodon"];
    let bars = plot(
        "Reads a second",
        PlotKind::Bars,
        axis("arm", Scale::Linear, &arms),
        axis("reads a second", Scale::Log, &[]),
        vec![
            series("natural", [(0.0, 412_345.0), (1.0, 31_000.0), (2.0, 812.0), (3.0, 14_200.0)].into_iter()),
            series("twip", [(0.0, 312_345.0), (1.0, 29_000.0), (2.0, 642.5), (3.0, f64::NAN)].into_iter()),
        ],
    );
    let long = [
        "a name that is far longer than its place",
        "short",
        "another long name of a thing",
        "x",
        "y",
        "z",
        "one more name",
    ];
    let costs = plot(
        "Change of the cost",
        PlotKind::Bars,
        axis("threshold", Scale::Linear, &long),
        axis("%", Scale::Linear, &[]),
        vec![series(
            "cost",
            [40.0, -12.5, 3.0, 0.0, 18.0, -33.0, 7.0].into_iter().enumerate().map(|(n, y)| (n as f64, y)),
        )],
    );
    let one = plot(
        "A single point, and a series without any",
        PlotKind::Lines,
        axis("x", Scale::Linear, &[]),
        axis("y", Scale::Linear, &[]),
        vec![series("one", std::iter::once((3.0, 7.0))), series("none", std::iter::empty())],
    );
    let none = plot(
        "Nothing",
        PlotKind::Areas,
        axis("x", Scale::Linear, &[]),
        axis("y", Scale::Linear, &[]),
        vec![series("none", std::iter::empty())],
    );
    let head = [
        "arm",
        "reads/s",
        "posts/s",
        "deliveries/s",
        "p50, ms",
        "p99, ms",
        "CPU s per M reads",
        "bytes an entry",
        "fan-out stopped",
    ];
    let row = |name: &str| std::iter::once(name).chain(["412,345"; 8]).map(str::to_owned).collect();
    let table = Table { head: head.map(str::to_owned).to_vec(), rows: arms.iter().map(|name| row(name)).collect() };
    let section = |title: &str, note: &str, blocks| Section { title: title.to_owned(), note: note.to_owned(), blocks };
    Report {
        title: "A report with everything".to_owned(),
        lead: "It <shows> what a report can have. Averylongwordwithoutanyplacetobreakitwhichisnotuncommoninpathsandnamesofthings.".to_owned(),
        sections: vec![
            section("Figures", "Each arm for itself, on the same world. Median of 5 rounds.", vec![Block::Table(table), bars]),
            section("Over time", "", vec![rate, sources]),
            section("Distributions", "", vec![latency]),
            section("Odd ones", "", vec![costs, one, none, Block::Table(Table::default())]),
        ],
    }
}

/// Runs the browser on a file, without anything of the user's.
fn run(browser: &Path, folder: &Path, dark: bool, width: u32, what: &[&OsStr], file: &Path) -> Output {
    Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
        ])
        .args(["--allow-file-access-from-files", "--disable-background-networking", "--enable-logging=stderr", "--v=0"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        // 0 is dark in the browser's own setting, 1 is light.
        .arg(format!("--blink-settings=preferredColorScheme={}", if dark { "0" } else { "1" }))
        .arg(format!("--window-size={width},3800"))
        .args(what)
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("the browser starts")
}

/// A page that shows the report in a frame `width` wide, and says what it found there.
fn probe(width: u32) -> String {
    format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><body style=\"margin:0\"><pre id=\"found\">nothing</pre>\
         <iframe id=\"frame\" src=\"report.html\" style=\"border:0;width:{width}px;height:900px\"></iframe><script>\
         document.getElementById('frame').onload = (event) => {{\
           const page = event.target.contentDocument, root = page.documentElement;\
           const ground = event.target.contentWindow.getComputedStyle(page.body).backgroundColor;\
           document.getElementById('found').textContent = [\
             'width ' + root.clientWidth, 'content ' + root.scrollWidth, 'ground ' + ground,\
             'pictures ' + page.querySelectorAll('figure svg[role=img]').length].join(';');\
         }};</script>"
    )
}

#[test]
fn a_browser_shows_a_report_without_complaint_in_any_mode_and_width() {
    let Some(browser) = browser() else {
        // Also where the test passes, which is why it is not printed in the usual way.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no Chromium in PATH; apt-get install chromium");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    report().write(&file).unwrap();
    for (dark, width) in [(false, 1_200), (true, 1_200), (false, 390), (true, 390)] {
        let page = folder.path().join(format!("probe-{width}.html"));
        std::fs::write(&page, probe(width)).unwrap();
        let dump = [OsStr::new("--virtual-time-budget=5000"), OsStr::new("--dump-dom")];
        let output = run(&browser, folder.path(), dark, 1_300, &dump, &page);
        let (dom, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let found =
            dom.split("<pre id=\"found\">").nth(1).and_then(|rest| rest.split("</pre>").next()).unwrap_or(&told);
        let ground = if dark { "rgb(20, 24, 31)" } else { "rgb(255, 255, 255)" };
        assert_eq!(found, format!("width {width};content {width};ground {ground};pictures 6"), "dark: {dark}");
        assert!(!told.contains("CONSOLE"), "{told}");
        if let Some(kept) = std::env::var_os("TRIBUTARY_KEEP").map(PathBuf::from) {
            let picture = kept.join(format!("report-{}-{width}.png", if dark { "dark" } else { "light" }));
            let shot = format!("--screenshot={}", picture.display());
            run(&browser, folder.path(), dark, width.max(500), &[OsStr::new(&shot)], &file);
            assert!(picture.is_file(), "no picture at {}", picture.display());
        }
    }
}
