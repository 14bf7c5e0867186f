//! Areas: series on top of each other.

use super::frame::{Frame, place};
use super::palette::classes;
use super::ruler::{Ruler, drawable};
use super::{Plot, Scale, Series};

/// Units of the picture that share one column.
const COLUMN: f64 = 1.5;

/// Draws a plot; none without a point.
pub fn draw(plot: &Plot, number: usize, described: &str) -> Option<String> {
    let series: Vec<Vec<(f64, f64)>> = plot.series.iter().map(|series| points(plot, series)).collect();
    let mut xs: Vec<f64> = series.iter().flatten().map(|point| point.0).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let x = Ruler::over(xs.iter().copied(), plot.x.scale, false, 8)?;
    let sums = stacked(&series, &xs);
    let y = Ruler::over(sums.iter().flatten().copied(), Scale::Linear, true, 5)?;
    let mut frame = Frame::begin(plot, number, described, y, 0.0);
    frame.x_axis(&plot.x, &x);
    let kept = highest(xs.iter().map(|value| frame.x(x.share(*value))), sums.last()?);
    for (n, sums) in sums.windows(2).enumerate() {
        let edge = |level: &[f64], forward: bool| {
            let corner = |&(at, x): &(usize, f64)| format!("{} {}", place(x), place(frame.y(level[at])));
            let corners: Vec<String> =
                if forward { kept.iter().map(corner).collect() } else { kept.iter().rev().map(corner).collect() };
            corners.join("L")
        };
        let (up, down) = (edge(&sums[1], true), edge(&sums[0], false));
        frame.draw(format_args!("<path class=\"area {}\" d=\"M{up}L{down}Z\"/>", classes(n)));
    }
    Some(frame.end())
}

/// The points that can be drawn, by rising x, one of each.
fn points(plot: &Plot, series: &Series) -> Vec<(f64, f64)> {
    let drawn = |point: &&(f64, f64)| drawable(point.0, plot.x.scale) && drawable(point.1, Scale::Linear);
    let mut points: Vec<(f64, f64)> =
        series.points.iter().filter(drawn).map(|point| (point.0, point.1.max(0.0))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.dedup_by_key(|point| point.0);
    points
}

/// At each x, what lies below each series and, at the end, the sum of all.
fn stacked(series: &[Vec<(f64, f64)>], xs: &[f64]) -> Vec<Vec<f64>> {
    let mut levels = vec![vec![0.0; xs.len()]];
    for points in series {
        let below = &levels[levels.len() - 1];
        levels.push(xs.iter().zip(below).map(|(x, below)| below + value_at(points, *x)).collect());
    }
    levels
}

/// The value of a series: between two points on the line between them, outside of them nothing.
fn value_at(points: &[(f64, f64)], x: f64) -> f64 {
    let after = points.partition_point(|point| point.0 < x);
    match (after.checked_sub(1).map(|n| points[n]), points.get(after)) {
        (_, Some(point)) if point.0 == x => point.1,
        (Some(left), Some(right)) => left.1 + (right.1 - left.1) * (x - left.0) / (right.0 - left.0),
        _ => 0.0,
    }
}

/// Of each column the index and place of the highest sum, and both ends.
fn highest(places: impl Iterator<Item = f64>, sums: &[f64]) -> Vec<(usize, f64)> {
    let places: Vec<(usize, f64)> = places.enumerate().collect();
    let column = |place: &(usize, f64)| (place.1 / COLUMN) as u64;
    let mut kept: Vec<(usize, f64)> = Vec::new();
    kept.extend(places.first());
    for some in places.chunk_by(|a, b| column(a) == column(b)) {
        kept.extend(some.iter().max_by(|a, b| sums[a.0].total_cmp(&sums[b.0])));
    }
    kept.extend(places.last());
    kept.dedup_by_key(|place| place.0);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_stand_on_each_other_between_their_points_too() {
        let series = [vec![(0.0, 1.0), (2.0, 3.0)], vec![(1.0, 10.0)]];
        let levels = stacked(&series, &[0.0, 1.0, 2.0]);
        assert_eq!(levels, [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [1.0, 12.0, 3.0]]);
    }

    #[test]
    fn of_many_columns_the_highest_is_kept() {
        let sums: Vec<f64> = (0..50_000).map(|n| if n == 12_345 { 9.0 } else { 1.0 }).collect();
        let kept = highest((0..50_000).map(|n| f64::from(n) / 100.0), &sums);
        assert!(kept.len() < 400 && kept.iter().any(|(n, _)| *n == 12_345), "{}", kept.len());
        assert_eq!((kept[0].0, kept[kept.len() - 1].0), (0, 49_999));
        assert!(highest(std::iter::empty(), &[]).is_empty());
    }
}
