//! The colours of series: told apart by those who see all colours and by those who do not, on light and dark ground.

/// Pairs of a colour on light ground and one on dark ground.
pub const COLOURS: [(&str, &str); 5] = [
    ("#0b5fa5", "#acdbf2"),
    ("#e46b16", "#ff8a47"),
    ("#009179", "#2fd0a5"),
    ("#992572", "#d09cf1"),
    ("#7a6000", "#f3d467"),
];
/// Ground in light and in dark.
pub const GROUNDS: (&str, &str) = ("#ffffff", "#14181f");

/// The classes of a series by its place: its colour, and a dashed line once the colours have been used.
pub fn classes(series: usize) -> String {
    let colour = series % COLOURS.len();
    let again = if (series / COLOURS.len()).is_multiple_of(2) { "" } else { " again" };
    format!("s{colour}{again}")
}

/// The colours as custom properties of a style sheet, for light or for dark.
pub fn properties(dark: bool) -> String {
    let of = |(light, on_dark): (&'static str, &'static str)| if dark { on_dark } else { light };
    let mut text = format!("--ground:{};", of(GROUNDS));
    for (n, colour) in COLOURS.into_iter().enumerate() {
        text += &format!("--s{n}:{};", of(colour));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rgb = [f64; 3];

    /// Linear light of `#rrggbb`.
    fn linear(colour: &str) -> Rgb {
        [1, 3, 5].map(|at| {
            let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn times(matrix: [Rgb; 3], colour: Rgb) -> Rgb {
        matrix.map(|row| row.iter().zip(colour).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0))
    }

    /// How far apart two colours look: the distance in Oklab, where black and white are 1 apart.
    fn apart(a: Rgb, b: Rgb) -> f64 {
        let lab = |colour| {
            let cones = times(
                [
                    [0.412_221, 0.536_333, 0.051_446],
                    [0.211_903, 0.680_700, 0.107_397],
                    [0.088_302, 0.281_719, 0.629_979],
                ],
                colour,
            )
            .map(f64::cbrt);
            let row = |r: Rgb| r.iter().zip(cones).map(|(a, b)| a * b).sum::<f64>();
            [
                row([0.210_454, 0.793_618, -0.004_072]),
                row([1.977_998, -2.428_592, 0.450_594]),
                row([0.025_904, 0.782_772, -0.808_676]),
            ]
        };
        lab(a).iter().zip(lab(b)).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
    }

    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let light = |c: Rgb| 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] + 0.05;
        let (a, b) = (light(a), light(b));
        a.max(b) / a.min(b)
    }

    fn sides() -> [(&'static str, Vec<&'static str>); 2] {
        [
            (GROUNDS.0, COLOURS.iter().map(|colour| colour.0).collect()),
            (GROUNDS.1, COLOURS.iter().map(|colour| colour.1).collect()),
        ]
    }

    #[test]
    fn every_colour_stands_out_from_its_ground() {
        for (ground, colours) in sides() {
            for colour in colours {
                let ratio = contrast(linear(colour), linear(ground));
                assert!(ratio >= 3.0, "{colour} on {ground}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn every_two_colours_can_be_told_apart_with_any_eyes() {
        // Full protanopia, deuteranopia and tritanopia after Machado, Oliveira and Fernandes (2009).
        let eyes = [
            ("all colours", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
            (
                "no red",
                [
                    [0.152_286, 1.052_583, -0.204_868],
                    [0.114_503, 0.786_281, 0.099_216],
                    [-0.003_882, -0.048_116, 1.051_998],
                ],
            ),
            (
                "no green",
                [
                    [0.367_322, 0.860_646, -0.227_968],
                    [0.280_085, 0.672_501, 0.047_413],
                    [-0.011_820, 0.042_940, 0.968_881],
                ],
            ),
            (
                "no blue",
                [
                    [1.255_528, -0.076_749, -0.178_779],
                    [-0.078_411, 0.930_809, 0.147_602],
                    [0.004_733, 0.691_367, 0.303_900],
                ],
            ),
        ];
        let mut close = Vec::new();
        for (ground, colours) in sides() {
            for (n, a) in colours.iter().enumerate() {
                for b in &colours[..n] {
                    for (who, eye) in eyes {
                        let distance = apart(times(eye, linear(a)), times(eye, linear(b)));
                        if distance < 0.1 {
                            close.push(format!("{a} and {b} on {ground} for {who}: {distance:.3}"));
                        }
                    }
                }
            }
        }
        assert!(close.is_empty(), "{}", close.join("\n"));
    }
}
