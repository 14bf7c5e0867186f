//! Drawing from distributions, deterministically from a seed. Pure.

use fastrand::Rng;

/// A number from the standard normal distribution (Box and Muller, 1958).
pub fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// A lognormal value by its median, the sigma of its logarithm, and how many sigmas it lies from the median.
pub fn lognormal(median: f64, sigma: f64, z: f64) -> f64 {
    median * (sigma * z).exp()
}

/// A value of at least `least` with a Pareto tail.
pub fn pareto(rng: &mut Rng, least: f64, exponent: f64) -> f64 {
    least * (1.0 - rng.f64()).powf(-1.0 / exponent)
}

/// A whole number near `value`: its fraction is the chance of one more, so that the mean is kept.
pub fn rounded(rng: &mut Rng, value: f64) -> u32 {
    let whole = value.floor();
    whole as u32 + u32::from(rng.f64() < value - whole)
}

/// Draws an index with the chance of its weight, in constant time: Walker's alias method, as set up by Vose (1991).
/// Twelve bytes an index.
pub struct Alias {
    keep: Vec<f64>,
    other: Vec<u32>,
}

impl Alias {
    /// `weights` are not negative and not all zero; at most 2^32.
    pub fn new(weights: &[f64]) -> Self {
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut keep: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let mut other: Vec<u32> = (0..weights.len() as u32).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) = other.iter().partition(|&&i| keep[i as usize] < 1.0);
        while let (Some(&low), Some(&high)) = (small.last(), large.last()) {
            small.pop();
            other[low as usize] = high;
            keep[high as usize] -= 1.0 - keep[low as usize];
            if keep[high as usize] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        // What is left over is 1 but for rounding.
        for rest in small.into_iter().chain(large) {
            keep[rest as usize] = 1.0;
        }
        Self { keep, other }
    }

    /// An index.
    pub fn draw(&self, rng: &mut Rng) -> u32 {
        let index = rng.usize(..self.keep.len());
        if rng.f64() < self.keep[index] { index as u32 } else { self.other[index] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_drawn_by_their_weight() {
        let weights = [1.0, 0.0, 7.0, 2.0];
        let (alias, mut rng) = (Alias::new(&weights), Rng::with_seed(7));
        let mut counts = [0u32; 4];
        for _ in 0..100_000 {
            counts[alias.draw(&mut rng) as usize] += 1;
        }
        for (count, weight) in counts.iter().zip(weights) {
            assert!((f64::from(*count) - weight * 10_000.0).abs() < 600.0, "{counts:?}");
        }
    }

    #[test]
    fn a_lognormal_has_its_median_and_sigma() {
        let mut rng = Rng::with_seed(1);
        let mut values: Vec<f64> = (0..100_001).map(|_| lognormal(61.0, 1.6, normal(&mut rng))).collect();
        values.sort_by(f64::total_cmp);
        assert!((58.0..64.0).contains(&values[50_000]), "{}", values[50_000]);
        // One sigma up: 84.13% of the values lie below.
        let sigma = (values[84_134] / values[50_000]).ln();
        assert!((1.55..1.65).contains(&sigma), "{sigma}");
    }

    #[test]
    fn rounding_keeps_the_mean() {
        let mut rng = Rng::with_seed(3);
        let sum: u32 = (0..100_000).map(|_| rounded(&mut rng, 2.3)).sum();
        assert!((228_000..232_000).contains(&sum), "{sum}");
    }
}
