//! The frame of a plot: an SVG element with grid, ticks and labels, and the places of values within it.

use std::fmt::Write;

use super::page::escaped;
use super::ruler::Ruler;
use super::{Axis, Plot};

/// Units of the picture, which are pixels where it is not scaled.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 306.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = 18.0;
const BOTTOM: f64 = 46.0;
/// The average width of a character of a label.
pub const CHARACTER: f64 = 6.8;

/// The rectangle that values are drawn in.
pub struct Frame {
    left: f64,
    height: f64,
    y: Ruler,
    svg: String,
}

impl Frame {
    /// Begins the picture of a plot: `number` tells it from the others on the page, `described` is for those who do not
    /// see it, `more_bottom` is what labels need below the usual.
    pub fn begin(plot: &Plot, number: usize, described: &str, y: Ruler, more_bottom: f64) -> Self {
        let longest = y.ticks.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0);
        let left = 16.0 + CHARACTER * longest as f64;
        let height = HEIGHT - TOP - BOTTOM;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"t{number} d{number}\">\n\
             <title id=\"t{number}\">{}</title><desc id=\"d{number}\">{}</desc>\n",
            HEIGHT + more_bottom,
            escaped(&plot.title),
            escaped(described),
        );
        svg += &format!("<text class=\"axis\" x=\"2\" y=\"14\">{}</text>\n", escaped(&plot.y.label));
        let mut frame = Self { left, height, y, svg };
        frame.grid();
        frame
    }

    fn grid(&mut self) {
        let (from, to) = (self.left, WIDTH - RIGHT);
        let mut lines = String::new();
        for (values, class) in
            [(self.y.minor.clone(), "minor"), (self.y.ticks.iter().map(|(value, _)| *value).collect(), "grid")]
        {
            for y in values.into_iter().map(|value| self.y(value)) {
                lines += &format!("M{} {}H{}", place(from), place(y), place(to));
            }
            lines = format!("<path class=\"{class}\" d=\"{}\"/>\n", std::mem::take(&mut lines));
            self.svg += &std::mem::take(&mut lines);
        }
        for (value, label) in &self.y.ticks {
            let y = self.y(*value) + 4.0;
            self.svg +=
                &format!("<text class=\"tick end\" x=\"{}\" y=\"{}\">{label}</text>\n", place(from - 7.0), place(y));
        }
    }

    /// Draws the ticks of an axis of numbers to the right, and its label.
    pub fn x_axis(&mut self, axis: &Axis, ruler: &Ruler) {
        let mut path = String::new();
        let floor = TOP + self.height;
        for (value, label) in &ruler.ticks {
            let x = place(self.x(ruler.share(*value)));
            path += &format!("M{x} {}v5", place(floor));
            self.svg +=
                &format!("<text class=\"tick middle\" x=\"{x}\" y=\"{}\">{label}</text>\n", place(floor + 18.0));
        }
        self.svg += &format!("<path class=\"mark\" d=\"{path}\"/>\n");
        self.x_label(axis, 0.0);
    }

    /// Writes the label of the axis to the right, `below` its usual place.
    pub fn x_label(&mut self, axis: &Axis, below: f64) {
        let (x, y) = (place(self.left + self.width() / 2.0), place(TOP + self.height + 38.0 + below));
        self.svg += &format!("<text class=\"axis middle\" x=\"{x}\" y=\"{y}\">{}</text>\n", escaped(&axis.label));
    }

    /// The width of the rectangle.
    pub fn width(&self) -> f64 {
        WIDTH - RIGHT - self.left
    }

    /// The place of a share of the width.
    pub fn x(&self, share: f64) -> f64 {
        self.left + share * self.width()
    }

    /// The place of a value upwards.
    pub fn y(&self, value: f64) -> f64 {
        TOP + self.height * (1.0 - self.y.share(value))
    }

    /// The place where bars and areas stand: that of zero, or the lowest one.
    pub fn ground(&self) -> f64 {
        self.y(0.0)
    }

    /// The lower edge of the rectangle.
    pub fn floor(&self) -> f64 {
        TOP + self.height
    }

    /// Adds to the picture.
    pub fn draw(&mut self, element: std::fmt::Arguments<'_>) {
        self.svg.write_fmt(element).expect("a string takes everything");
        self.svg.push('\n');
    }

    /// The whole picture.
    pub fn end(mut self) -> String {
        let (from, to, y) = (place(self.left), place(WIDTH - RIGHT), place(self.ground()));
        self.draw(format_args!("<path class=\"mark\" d=\"M{from} {y}H{to}\"/>"));
        self.svg + "</svg>"
    }
}

/// A coordinate, to a tenth of a pixel.
pub fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}
