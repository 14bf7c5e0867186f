//! A report: sections of tables and plots, written as one HTML file that needs nothing beside it.
//!
//! Style and plots (SVG) stand in the file, and no script is needed to read it. Everything said is escaped. It follows
//! the reader's light or dark mode, and is printed in light.

mod areas;
mod bars;
mod frame;
mod lines;
mod page;
mod palette;
mod ruler;

use std::path::Path;

use anyhow::{Context, Result};

/// A whole report.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What it is about.
    pub title: String,
    /// One or two sentences: what was found.
    pub lead: String,
    /// Its parts, from the most important one down.
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// What it is about.
    pub title: String,
    /// How to read it; may be empty.
    pub note: String,
    /// What it shows.
    pub blocks: Vec<Block>,
}

/// What a section shows.
#[derive(Clone, Debug)]
pub enum Block {
    /// Figures.
    Table(Table),
    /// A picture of figures.
    Plot(Plot),
}

/// Figures: the first column is text, the others are figures, ready to be read.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The name of each column, with its unit.
    pub head: Vec<String>,
    /// A cell for each column.
    pub rows: Vec<Vec<String>>,
}

/// A picture of figures. What is not a number, or cannot stand on a logarithmic axis, is left out.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// How it is drawn.
    pub kind: PlotKind,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// What is drawn; ten can be told apart.
    pub series: Vec<Series>,
}

/// How a plot is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlotKind {
    /// A line for each series, by rising x; a dot where a series has but one point.
    Lines,
    /// Series on top of each other, as shares of a whole: values are not negative, and y is linear.
    Areas,
    /// A group of bars for each category: x is the index of a name in [`Axis::labels`].
    Bars,
}

/// One axis of a plot.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    /// How values are spread over it.
    pub scale: Scale,
    /// Names of the categories, for bars.
    pub labels: Vec<String>,
}

/// How values are spread over an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Equal steps are equally long.
    Linear,
    /// Equal ratios are equally long; only values above zero have a place.
    Log,
}

/// What is drawn in one colour.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Pairs of x and y.
    pub points: Vec<(f64, f64)>,
}

impl Report {
    /// The report as one HTML file.
    pub fn html(&self) -> String {
        page::html(self)
    }

    /// Writes the report.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.html()).with_context(|| format!("writing the report {}", path.display()))
    }
}

#[cfg(test)]
mod tests;
