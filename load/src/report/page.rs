//! The page around tables and plots: HTML with its style.

use super::ruler::{drawable, figure};
use super::{Block, Plot, PlotKind, Report, Section, Table, areas, bars, lines, palette};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn html(report: &Report) -> String {
    let mut plots = 0;
    let sections: String = report.sections.iter().map(|part| section(part, &mut plots)).collect();
    let title = escaped(&report.title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n:root{{{}}}\n\
         @media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header><h1>{title}</h1><p class=\"lead\">{}</p></header>\n{sections}</main>\n</body>\n</html>\n",
        palette::properties(false),
        palette::properties(true),
        escaped(&report.lead),
    )
}

fn section(section: &Section, plots: &mut usize) -> String {
    let mut text = format!("<section>\n<h2>{}</h2>\n", escaped(&section.title));
    if !section.note.is_empty() {
        text += &format!("<p class=\"note\">{}</p>\n", escaped(&section.note));
    }
    for block in &section.blocks {
        match block {
            Block::Table(shown) => text += &table(shown, &section.title),
            Block::Plot(shown) => {
                *plots += 1;
                text += &plot(shown, *plots);
            }
        }
    }
    text + "</section>\n"
}

/// A table may be wider than a phone: then it, and not the page, is scrolled, for which the keyboard must reach it.
fn table(table: &Table, name: &str) -> String {
    let mut text = format!(
        "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{}\"><table>\n<thead><tr>",
        escaped(name)
    );
    for cell in &table.head {
        text += &format!("<th scope=\"col\">{}</th>", escaped(cell));
    }
    text += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        text += "<tr>";
        for (n, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            text += &if n == 0 { format!("<th scope=\"row\">{cell}</th>") } else { format!("<td>{cell}</td>") };
        }
        text += "</tr>\n";
    }
    if table.rows.is_empty() {
        text += &format!("<tr><td class=\"none\" colspan=\"{}\">nothing</td></tr>\n", table.head.len().max(1));
    }
    text + "</tbody></table></div>\n"
}

fn plot(plot: &Plot, number: usize) -> String {
    let described = describe(plot);
    let drawn = match plot.kind {
        PlotKind::Lines => lines::draw(plot, number, &described),
        PlotKind::Areas => areas::draw(plot, number, &described),
        PlotKind::Bars => bars::draw(plot, number, &described),
    };
    let title = escaped(&plot.title);
    let mut text = format!("<figure><figcaption>{title}</figcaption>\n");
    let Some(svg) = drawn else { return text + "<p class=\"none\">no figures</p></figure>\n" };
    if plot.series.len() > 1 {
        let kind = if plot.kind == PlotKind::Lines { "line" } else { "area" };
        text += "<ul class=\"legend\">";
        for (n, series) in plot.series.iter().enumerate() {
            let (classes, name) = (palette::classes(n), escaped(&series.name));
            text += &format!(
                "<li><svg width=\"22\" height=\"12\" aria-hidden=\"true\"><path class=\"{kind} {classes}\" d=\"M1 6H21\"/></svg>{name}</li>"
            );
        }
        text += "</ul>\n";
    }
    text +=
        &format!("<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{title}\">{svg}</div></figure>\n");
    text
}

/// A plot in words: its axes, and the range of each series.
fn describe(plot: &Plot) -> String {
    let mut text = format!("{} over {}.", plot.y.label, plot.x.label);
    for series in &plot.series {
        let drawn = |point: &&(f64, f64)| drawable(point.0, plot.x.scale) && drawable(point.1, plot.y.scale);
        let values = series.points.iter().filter(drawn).map(|point| point.1);
        let range = values.fold(None, |range: Option<(f64, f64)>, value| {
            let (least, most) = range.unwrap_or((value, value));
            Some((least.min(value), most.max(value)))
        });
        text += &match range {
            Some((least, most)) => format!(" {}: {} to {}.", series.name, figure(least), figure(most)),
            None => format!(" {}: nothing.", series.name),
        };
    }
    text
}

/// Text as it may stand in an element or a quoted attribute. Control characters, which HTML does not have, are left out.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            c if c.is_control() && !c.is_whitespace() => (),
            c => safe.push(c),
        }
    }
    safe
}
