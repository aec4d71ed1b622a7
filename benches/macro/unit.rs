//! Figures as people read them.

use std::time::Duration;

/// `1.10 GB`, `24.9 MB`, `304 B`: decimal units, three digits.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 => 0,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {}", units.get(unit).unwrap_or(&""))
}

/// Milliseconds with one digit after the point.
pub(super) fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1_000.0)
}

/// Seconds with two digits after the point.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

/// How many times `one` is `other`; nothing if `other` is nothing.
pub(super) fn ratio(one: f64, other: f64) -> Option<f64> {
    (other > 0.0).then(|| one / other)
}

/// A ratio with two digits; a dash without one.
pub(super) fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(absent, |ratio| format!("{ratio:.2}"))
}

/// What stands for a figure that there is not.
pub(super) fn absent() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits_and_a_unit() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_704, "1.70 kB"),
            (24_980_712, "25.0 MB"),
            (999_600, "1.00 MB"),
            (1_102_282_216, "1.10 GB"),
            (243_432_064, "243 MB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn a_ratio_to_nothing_is_absent() {
        assert_eq!(times(ratio(3.0, 2.0)), "1.50");
        assert_eq!(times(ratio(3.0, 0.0)), "-");
    }
}
