//! Latency as a fixed part and a part for each byte.

/// `latency = fixed + per_byte × size`, in microseconds and bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// What a write costs however small it is.
    pub fixed: f64,
    /// What each byte adds.
    pub per_byte: f64,
}

impl Model {
    /// The latency that it expects of a write of `size` bytes, microseconds.
    #[must_use]
    pub fn predict(&self, size: usize) -> f64 {
        self.fixed + self.per_byte * size as f64
    }

    /// The knee of group commit: bytes at which a write costs twice what an empty one would. Below it more messages in a
    /// write are nearly free, above it the latency grows in proportion.
    #[must_use]
    pub fn knee(&self) -> f64 {
        self.fixed / self.per_byte
    }

    /// The part of the disk's bandwidth that writes of `size` bytes reach, one after the other.
    #[must_use]
    pub fn share(&self, size: f64) -> f64 {
        size / (size + self.knee())
    }
}

/// The model that fits `points` (bytes, microseconds) best, each deviation taken relative to its latency, so that small
/// writes count as much as large ones. `None` if latency does not grow with size: that is noise, and nothing follows from it.
#[must_use]
pub fn fit(points: &[(usize, f64)]) -> Option<Model> {
    let mut sums = [0.0; 5];
    for (size, latency) in points {
        let (x, y) = (*size as f64, *latency);
        if y <= 0.0 {
            return None;
        }
        let weight = 1.0 / (y * y);
        let terms = [1.0, x, x * x, y, x * y];
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += weight * term;
        }
    }
    let [w, wx, wxx, wy, wxy] = sums;
    let spread = w * wxx - wx * wx;
    if points.len() < 2 || spread <= f64::EPSILON * w * wxx {
        return None;
    }
    let per_byte = (w * wxy - wx * wy) / spread;
    let fixed = (wy - per_byte * wx) / w;
    if per_byte <= 0.0 {
        return None;
    }
    // A write that costs nothing at size zero is a straight line through it.
    let line = Model { fixed: 0.0, per_byte: wxy / wxx };
    Some(if fixed > 0.0 { Model { fixed, per_byte } } else { line })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a / b - 1.0).abs() < 1e-6
    }

    #[test]
    fn a_straight_line_is_found_again() {
        let truth = Model { fixed: 50.0, per_byte: 0.001 };
        let points: Vec<_> = [4096, 65_536, 1 << 20].map(|size| (size, truth.predict(size))).into();
        let found = fit(&points).unwrap();
        assert!(near(found.fixed, 50.0) && near(found.per_byte, 0.001), "{found:?}");
        assert!(near(found.knee(), 50_000.0));
        assert!(near(found.share(50_000.0), 0.5) && near(found.share(150_000.0), 0.75));
    }

    #[test]
    fn small_writes_count_as_much_as_large_ones() {
        // The large one is off by 20 %, the small ones are exact.
        let points = [(4096, 54.0), (16_384, 66.0), (65_536, 116.0), (1 << 20, 1320.0)];
        let found = fit(&points).unwrap();
        assert!((found.predict(4096) / 54.0 - 1.0).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn noise_is_no_model() {
        assert_eq!(fit(&[]), None);
        assert_eq!(fit(&[(4096, 50.0)]), None);
        assert_eq!(fit(&[(4096, 50.0), (4096, 60.0)]), None);
        assert_eq!(fit(&[(4096, 100.0), (1 << 20, 50.0)]), None);
        assert_eq!(fit(&[(4096, 0.0), (8192, 1.0)]), None);
        let through_zero = fit(&[(1000, 1.0), (2000, 4.0)]).unwrap();
        assert!(through_zero.fixed == 0.0 && through_zero.knee() == 0.0, "{through_zero:?}");
    }
}
