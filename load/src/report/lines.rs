//! Lines: one a series. However many points there are, no more are drawn than the eye can see.

use super::frame::{Frame, place};
use super::page::escaped;
use super::palette::classes;
use super::ruler::{Ruler, drawable, figure};
use super::{Plot, Series};

/// Units of the picture that share one column of points.
const COLUMN: f64 = 1.5;
/// Up to so many points each has a dot that tells its values.
const DOTTED: usize = 40;

/// Draws a plot; none without a point.
pub fn draw(plot: &Plot, number: usize, described: &str) -> Option<String> {
    let series: Vec<Vec<(f64, f64)>> = plot.series.iter().map(|series| points(plot, series)).collect();
    let all = || series.iter().flatten();
    let x = Ruler::over(all().map(|point| point.0), plot.x.scale, false, 8)?;
    let y = Ruler::over(all().map(|point| point.1), plot.y.scale, true, 5)?;
    let mut frame = Frame::begin(plot, number, described, y, 0.0);
    frame.x_axis(&plot.x, &x);
    for (n, (points, Series { name, .. })) in series.iter().zip(&plot.series).enumerate() {
        let classes = classes(n);
        let places: Vec<(f64, f64)> =
            points.iter().map(|point| (frame.x(x.share(point.0)), frame.y(point.1))).collect();
        let mut path = String::new();
        for (n, (x, y)) in thinned(&places).into_iter().enumerate() {
            path += &format!("{}{} {}", if n == 0 { "M" } else { "L" }, place(x), place(y));
        }
        if points.len() > 1 {
            frame.draw(format_args!("<path class=\"line {classes}\" d=\"{path}\"/>"));
        }
        if points.len() <= DOTTED {
            for (point, at) in points.iter().zip(places) {
                let (told_x, told_y) = (figure(point.0), figure(point.1));
                frame.draw(format_args!(
                    "<circle class=\"dot {classes}\" cx=\"{}\" cy=\"{}\" r=\"3\"><title>{}: {told_x}, {told_y}</title></circle>",
                    place(at.0),
                    place(at.1),
                    escaped(name),
                ));
            }
        }
    }
    Some(frame.end())
}

/// The points that can be drawn, by rising x.
fn points(plot: &Plot, series: &Series) -> Vec<(f64, f64)> {
    let drawn = |point: &&(f64, f64)| drawable(point.0, plot.x.scale) && drawable(point.1, plot.y.scale);
    let mut points: Vec<(f64, f64)> = series.points.iter().filter(drawn).copied().collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// Of each column the first, the lowest, the highest and the last: the line looks the same.
fn thinned(places: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let column = |place: &(f64, f64)| (place.0 / COLUMN) as u64;
    let mut kept = Vec::new();
    for some in places.chunk_by(|a, b| column(a) == column(b)) {
        let order = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let ends = [some.iter().min_by(order), some.iter().max_by(order)];
        let first = some[0];
        let mut column = vec![first];
        column.extend(ends.into_iter().flatten().filter(|place| **place != first));
        column.extend(some.last());
        column.dedup();
        kept.extend(column);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_points_stay_as_they_are() {
        let few = [(0.0, 5.0), (10.0, 1.0), (20.0, 3.0)];
        assert_eq!(thinned(&few), few);
        assert_eq!(thinned(&[]), []);
    }

    #[test]
    fn a_peak_among_many_points_stays() {
        let mut many: Vec<(f64, f64)> = (0..100_000).map(|n| (f64::from(n) / 200.0, 100.0)).collect();
        many[54_321].1 = 2.0;
        many[54_400].1 = 180.0;
        let kept = thinned(&many);
        assert!(kept.len() < 1_500, "{}", kept.len());
        assert!(kept.contains(&many[54_321]) && kept.contains(&many[54_400]));
        assert_eq!((kept.first(), kept.last()), (many.first(), many.last()));
        assert!(kept.is_sorted_by(|a, b| (a.0 / COLUMN) as u64 <= (b.0 / COLUMN) as u64));
    }
}
