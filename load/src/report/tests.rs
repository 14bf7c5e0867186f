//! What a report's file is like, whatever is in it.

use super::*;

fn axis(label: &str, scale: Scale) -> Axis {
    Axis { label: label.to_owned(), scale, labels: Vec::new() }
}

fn plot(kind: PlotKind, series: Vec<Vec<(f64, f64)>>) -> Plot {
    let series = series.into_iter().enumerate().map(|(n, points)| Series { name: format!("series {n}"), points });
    Plot {
        title: "A plot".to_owned(),
        kind,
        x: Axis { label: "seconds".to_owned(), scale: Scale::Linear, labels: vec!["a".to_owned(), "b".to_owned()] },
        y: axis("ms", Scale::Linear),
        series: series.collect(),
    }
}

fn of(blocks: Vec<Block>) -> Report {
    let section = Section { title: "Part".to_owned(), note: String::new(), blocks };
    Report { title: "A report".to_owned(), lead: "It is so.".to_owned(), sections: vec![section] }
}

#[test]
fn everything_said_is_escaped() {
    let bad = "<script>alert('x & \"y\"')</script>".to_owned();
    let mut shown = plot(PlotKind::Bars, vec![vec![(0.0, 1.0)], vec![(1.0, 2.0)]]);
    shown.title = bad.clone();
    (shown.x.label, shown.y.label) = (bad.clone(), bad.clone());
    shown.x.labels = vec![bad.clone(), bad.clone()];
    shown.series.iter_mut().for_each(|series| series.name = bad.clone());
    let mut lines = shown.clone();
    lines.kind = PlotKind::Lines;
    let table = Table { head: vec![bad.clone(); 2], rows: vec![vec![bad.clone(); 2]] };
    let blocks = vec![Block::Plot(shown), Block::Plot(lines), Block::Table(table)];
    let section = Section { title: bad.clone(), note: bad.clone(), blocks };
    let html = Report { title: bad.clone(), lead: bad, sections: vec![section] }.html();
    assert!(!html.contains("<script") && !html.contains("alert('"), "{html}");
    assert!(html.matches("&lt;script&gt;").count() > 15);
}

#[test]
fn a_long_series_makes_a_small_file() {
    let long: Vec<(f64, f64)> = (0..100_000).map(|n| (f64::from(n), f64::from(n * 7_919 % 1_000))).collect();
    for kind in [PlotKind::Lines, PlotKind::Areas] {
        let html = of(vec![Block::Plot(plot(kind, vec![long.clone(), long.clone()]))]).html();
        assert!(html.len() < 100_000, "{kind:?}: {} bytes", html.len());
    }
}

#[test]
fn plots_without_figures_say_so() {
    let nothing = [
        vec![],
        vec![vec![]],
        vec![vec![(f64::NAN, 1.0), (1.0, f64::INFINITY)]],
        vec![vec![(f64::NEG_INFINITY, f64::NAN)], vec![]],
    ];
    for kind in [PlotKind::Lines, PlotKind::Areas, PlotKind::Bars] {
        for series in nothing.clone() {
            let html = of(vec![Block::Plot(plot(kind, series.clone()))]).html();
            assert!(html.contains("no figures") && !html.contains("role=\"img\""), "{kind:?} {series:?}");
        }
    }
}

#[test]
fn what_is_no_number_is_left_out_and_the_rest_is_drawn() {
    let points = vec![(f64::NAN, 1.0), (0.0, 3.0), (1.0, f64::INFINITY), (1.0, 4.0), (-5.0, f64::NAN)];
    for kind in [PlotKind::Lines, PlotKind::Areas, PlotKind::Bars] {
        let html = of(vec![Block::Plot(plot(kind, vec![points.clone(), vec![]]))]).html();
        let picture = &html[html.find("role=\"img\"").expect("a picture")..];
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        assert!(html.contains("series 0: 3 to 4. series 1: nothing."), "{kind:?}");
    }
}

#[test]
fn a_single_point_is_a_dot_and_a_single_bar_a_bar() {
    let lines = of(vec![Block::Plot(plot(PlotKind::Lines, vec![vec![(1.0, 5.0)]]))]).html();
    assert!(lines.contains("<circle") && !lines.contains("class=\"line s0\" d=\"M\""));
    let bars = of(vec![Block::Plot(plot(PlotKind::Bars, vec![vec![(1.0, 5.0)]]))]).html();
    assert_eq!(bars.matches("<rect").count(), 1);
}

#[test]
fn zero_has_no_place_on_a_logarithmic_axis() {
    let mut shown = plot(PlotKind::Lines, vec![vec![(0.0, 0.0), (1.0, 10.0), (2.0, 1_000.0)]]);
    shown.y.scale = Scale::Log;
    let html = of(vec![Block::Plot(shown)]).html();
    assert_eq!(html.matches("<circle").count(), 2);
}

#[test]
fn pictures_can_be_told_apart_by_those_who_do_not_see_them() {
    let html = of(vec![
        Block::Plot(plot(PlotKind::Lines, vec![vec![(0.0, 1.0), (1.0, 2_500.0)]])),
        Block::Plot(plot(PlotKind::Areas, vec![vec![(0.0, 1.0), (1.0, 2.0)]])),
    ])
    .html();
    for id in ["t1", "d1", "t2", "d2"] {
        assert_eq!(html.matches(&format!("id=\"{id}\"")).count(), 1);
    }
    assert!(html.contains("ms over seconds. series 0: 1 to 2,500."), "{html}");
}

#[test]
fn a_report_that_cannot_be_written_names_its_file() {
    let error = of(Vec::new()).write(Path::new("/nowhere/report.html")).unwrap_err();
    assert!(format!("{error:#}").contains("/nowhere/report.html"));
}
