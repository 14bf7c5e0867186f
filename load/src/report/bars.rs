//! Bars: a group for each category, a bar in it for each series, with its value written over it.

use super::Plot;
use super::frame::{CHARACTER, Frame, place};
use super::page::escaped;
use super::palette::classes;
use super::ruler::{Ruler, drawable, figure};

/// The share of a category's width that its bars take.
const FULL: f64 = 0.76;
const WIDEST: f64 = 72.0;
/// Characters of a category's name that are written; all of them are told.
const NAME: usize = 24;
/// What slanted names need below the usual.
const SLANTED: f64 = 62.0;

/// Draws a plot; none without a bar.
pub fn draw(plot: &Plot, number: usize, described: &str) -> Option<String> {
    let categories = plot.x.labels.len();
    let bars: Vec<Vec<(usize, f64)>> = plot
        .series
        .iter()
        .map(|series| {
            let known = series
                .points
                .iter()
                .filter(|(x, y)| drawable(*y, plot.y.scale) && *x >= 0.0 && x.round() < categories as f64);
            known.map(|(x, y)| (x.round() as usize, *y)).collect()
        })
        .collect();
    let values = bars.iter().flatten().map(|(_, value)| *value);
    let y = Ruler::over(values, plot.y.scale, true, 5)?;
    let short: Vec<String> = plot.x.labels.iter().map(|name| shortened(name)).collect();
    let widest = short.iter().map(|name| name.chars().count()).max().unwrap_or(0) as f64 * CHARACTER;
    // The frame is some 640 wide, whatever stands left of it.
    let slanted = widest > 620.0 / categories as f64;
    let more = if slanted { SLANTED } else { 0.0 };
    let mut frame = Frame::begin(plot, number, described, y, more);
    let room = frame.width() / categories as f64;
    let width = (room * FULL / bars.len() as f64).min(WIDEST);
    for (n, name) in short.iter().enumerate() {
        let (x, y) = (place(frame.x((n as f64 + 0.5) / categories as f64)), place(frame.floor() + 18.0));
        let whole = escaped(&plot.x.labels[n]);
        let how = if slanted { format!("end\" transform=\"rotate(-35 {x} {y})") } else { "middle".to_owned() };
        frame.draw(format_args!(
            "<text class=\"tick {how}\" x=\"{x}\" y=\"{y}\">{}<title>{whole}</title></text>",
            escaped(name)
        ));
    }
    for (n, bars) in bars.iter().enumerate() {
        let shift = (n as f64 - plot.series.len() as f64 / 2.0) * width;
        for &(category, value) in bars {
            let (x, y, ground) =
                (frame.x((category as f64 + 0.5) / categories as f64) + shift, frame.y(value), frame.ground());
            let told = figure(value);
            frame.draw(format_args!(
                "<rect class=\"bar {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}, {}: {told}</title></rect>",
                classes(n),
                place(x + 1.0),
                place(y.min(ground)),
                place((width - 2.0).max(0.5)),
                place((y - ground).abs().max(0.5)),
                escaped(&plot.x.labels[category]),
                escaped(&plot.series[n].name),
            ));
            if told.chars().count() as f64 * CHARACTER <= width.max(CHARACTER * 2.0) + 4.0 {
                let above = if y > ground { y + 14.0 } else { y - 5.0 };
                frame.draw(format_args!(
                    "<text class=\"value middle\" x=\"{}\" y=\"{}\">{told}</text>",
                    place(x + width / 2.0),
                    place(above)
                ));
            }
        }
    }
    frame.x_label(&plot.x, more);
    Some(frame.end())
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    let begin: String = name.chars().take(NAME - 1).collect();
    format!("{begin}\u{2026}")
}
