//! A ruler: which stretch of an axis is drawn, where a value lies on it, and its ticks. Linear ticks step by 1, 2 or 5
//! times a power of ten; logarithmic ones are decades, with minor ones between them.

use crate::progress::grouped;

use super::Scale;

/// Beyond it, differences of values would overflow.
const LARGEST: f64 = 1e100;
/// The least part of its values that a range may measure: below it, values would fall together.
const NARROWEST: f64 = 1e-9;

/// A stretch of an axis.
#[derive(Debug)]
pub struct Ruler {
    scale: Scale,
    from: f64,
    to: f64,
    /// Values with what is written beside them, rising.
    pub ticks: Vec<(f64, String)>,
    /// Values between ticks, for fainter lines.
    pub minor: Vec<f64>,
}

/// Whether a value has a place on a scale.
pub fn drawable(value: f64, scale: Scale) -> bool {
    value.abs() <= LARGEST && (scale == Scale::Linear || value >= 1.0 / LARGEST)
}

impl Ruler {
    /// Over all drawable values, ends included. With `whole` it is lengthened to ticks at both ends, and a linear one
    /// begins at zero where no value is below. About `count` ticks are labelled. None without a drawable value.
    pub fn over(values: impl Iterator<Item = f64>, scale: Scale, whole: bool, count: usize) -> Option<Self> {
        let mut range = None;
        for value in values.filter(|&value| drawable(value, scale)) {
            let (from, to) = range.unwrap_or((value, value));
            range = Some((value.min(from), value.max(to)));
        }
        let (from, to) = range?;
        Some(match scale {
            Scale::Linear => linear(from, to, whole, count),
            Scale::Log => log(from, to, whole, count),
        })
    }

    /// Where a value lies: 0 at the beginning, 1 at the end. What lies beyond an end is put there.
    pub fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => (value.max(self.from) / self.from).log10() / (self.to / self.from).log10(),
        };
        share.clamp(0.0, 1.0)
    }
}

fn linear(mut from: f64, mut to: f64, whole: bool, count: usize) -> Ruler {
    if whole && from >= 0.0 {
        from = 0.0;
    }
    if to - from <= (from.abs().max(to.abs()) * NARROWEST).max(1.0 / LARGEST) {
        let around = if from.abs() <= 1.0 / LARGEST { 1.0 } else { from.abs() / 10.0 };
        from -= if whole && from == 0.0 { 0.0 } else { around };
        to += around;
    }
    let step = round_step((to - from) / count as f64);
    if whole {
        (from, to) = ((from / step).floor() * step, (to / step).ceil() * step);
    }
    // A hair's breadth for what division lost.
    let first = (from / step - 1e-6).ceil();
    let last = (to / step + 1e-6).floor();
    // Few: the step was made for it.
    let ticks = (0..=(last - first) as u64).map(|n| (first + n as f64) * step);
    let unit = Unit::of(from.abs().max(to.abs()));
    let ticks = ticks.map(|value| (value, unit.write(value, step))).collect();
    Ruler { scale: Scale::Linear, from, to, ticks, minor: Vec::new() }
}

/// The least of 1, 2 and 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

fn log(mut from: f64, mut to: f64, whole: bool, count: usize) -> Ruler {
    if to / from <= 1.0 + NARROWEST {
        (from, to) = (from / 2.0, to * 2.0);
    }
    let decades = from.log10().floor() as i32..=to.log10().ceil() as i32;
    let mut steps: Vec<f64> =
        decades.clone().flat_map(|n| (1..10).map(move |m| f64::from(m) * 10f64.powi(n))).collect();
    let is = |value: f64, factors: &[f64]| {
        let factor = (value / 10f64.powf((value.log10() + 1e-9).floor())).round();
        factors.contains(&factor)
    };
    if whole {
        let bounds = |value: &&f64| is(**value, &[1.0, 2.0, 5.0]);
        let below = steps.iter().filter(bounds).rfind(|step| **step <= from * (1.0 + 1e-9));
        let above = steps.iter().filter(bounds).find(|step| **step >= to * (1.0 - 1e-9));
        (from, to) = (below.copied().unwrap_or(from), above.copied().unwrap_or(to));
    }
    steps.retain(|step| (from * (1.0 - 1e-9)..=to * (1.0 + 1e-9)).contains(step));
    let within = |factors: &[f64]| steps.iter().copied().filter(|step| is(*step, factors)).collect::<Vec<f64>>();
    // As close as they may stand: 1-2-5, each decade, or some decades.
    let (every, decades) = (within(&[1.0, 2.0, 5.0]), within(&[1.0]));
    let labelled = if every.len() <= count + 2 || decades.len() < 2 { every } else { decades };
    let apart = labelled.len().div_ceil(count + 2).max(1);
    let ticks = labelled.into_iter().step_by(apart).map(|value| (value, figure(value))).collect();
    let minor = if apart == 1 { steps } else { Vec::new() };
    Ruler { scale: Scale::Log, from, to, ticks, minor }
}

/// What the numbers of an axis are written in, so that they stay short.
struct Unit {
    size: f64,
    name: &'static str,
}

impl Unit {
    fn of(largest: f64) -> Self {
        let (size, name) = match largest {
            ..1e6 => (1.0, ""),
            ..1e9 => (1e6, " M"),
            ..1e12 => (1e9, " G"),
            ..1e15 => (1e12, " T"),
            _ => (1.0, ""),
        };
        Self { size, name }
    }

    /// With as many digits after the point as values a `step` apart need.
    fn write(&self, value: f64, step: f64) -> String {
        if value.abs() < step / 1e3 {
            return "0".to_owned();
        }
        let digits = -(step / self.size * (1.0 + 1e-9)).log10().floor();
        if digits > 6.0 || value.abs() >= 1e15 {
            return format!("{value:.1e}");
        }
        format!("{}{}", decimal(value / self.size, digits.max(0.0) as usize), self.name)
    }
}

/// A number for people: three significant digits, or all digits of its whole part, in groups.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{value:.2e}").replace(".00e", "e");
    }
    let unit = Unit::of(size);
    let scaled = value / unit.size;
    let digits = (2.0 - scaled.abs().log10().floor()).clamp(0.0, 6.0) as usize;
    let text = decimal(scaled, digits);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", unit.name)
}

/// A decimal number, its whole part in groups of three.
fn decimal(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    let sign = if value < 0.0 { "\u{2212}" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64], scale: Scale, whole: bool) -> Vec<String> {
        let ruler = Ruler::over(values.iter().copied(), scale, whole, 6).unwrap();
        ruler.ticks.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_ticks_step_by_one_two_or_five() {
        assert_eq!(labels(&[3.0, 97.0], Scale::Linear, true), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(labels(&[0.0, 12_345.0], Scale::Linear, true), ["0", "5,000", "10,000", "15,000"]);
        assert_eq!(labels(&[0.1, 0.29], Scale::Linear, false), ["0.10", "0.15", "0.20", "0.25"]);
        assert_eq!(labels(&[-0.4, 0.3], Scale::Linear, true), ["\u{2212}0.4", "\u{2212}0.2", "0", "0.2", "0.4"]);
        assert_eq!(labels(&[2.5e6], Scale::Linear, true)[1], "0.5 M");
    }

    #[test]
    fn logarithmic_ticks_are_decades_or_closer_where_there_are_few() {
        assert_eq!(labels(&[1.0, 1e5], Scale::Log, true), ["1", "10", "100", "1,000", "10,000", "100,000"]);
        assert_eq!(labels(&[3.0, 40.0], Scale::Log, true), ["2", "5", "10", "20", "50"]);
        assert_eq!(
            labels(&[1e-3, 1e12], Scale::Log, true),
            ["0.001", "0.1", "10", "1,000", "100,000", "10 M", "1 G", "100 G"]
        );
        let ruler = Ruler::over([1.0, 100.0].into_iter(), Scale::Log, true, 6).unwrap();
        assert!(ruler.minor.contains(&30.0) && (ruler.share(10.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn every_value_lies_between_the_ends_whatever_the_range() {
        let odd = [0.0, -1e-300, 5e-324, 1e99, -1e100, 7.0, 1e15 + 1.0, f64::NAN, f64::INFINITY, f64::MAX];
        for (&a, &b) in odd.iter().flat_map(|a| odd.iter().map(move |b| (a, b))) {
            for (scale, whole) in
                [(Scale::Linear, true), (Scale::Linear, false), (Scale::Log, true), (Scale::Log, false)]
            {
                let Some(ruler) = Ruler::over([a, b].into_iter(), scale, whole, 6) else { continue };
                assert!(ruler.from < ruler.to && ruler.ticks.len() <= 14, "{a} {b} {ruler:?}");
                assert!([a, b].iter().all(|value| !drawable(*value, scale) || ruler.share(*value).is_finite()));
            }
        }
    }

    #[test]
    fn nothing_to_draw_has_no_ruler() {
        assert!(Ruler::over([f64::NAN].into_iter(), Scale::Linear, true, 6).is_none());
        assert!(Ruler::over([0.0, -1.0].into_iter(), Scale::Log, true, 6).is_none());
    }

    #[test]
    fn figures_are_short() {
        let written = [0.0, 0.012_34, 1.5, 99.96, 1_234.4, 999_999.0, 2_345_678.0, -3.0, 1e-7].map(figure);
        assert_eq!(written, ["0", "0.0123", "1.5", "100", "1,234", "999,999", "2.35 M", "\u{2212}3", "1e-7"]);
    }
}
