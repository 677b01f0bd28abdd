//! Moments and spans of time for people.

use std::time::Duration;

/// A moment in UTC: `2026-11-23 17:05:09`.
///
/// # Units
/// `at`: milliseconds since the epoch.
pub(crate) fn moment(at: u64) -> String {
    let seconds = at / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// A span as short as it can be said: `4s`, `3m07s`, `2h05m`.
pub(crate) fn span(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// The Gregorian date so many days after 1970-01-01: walks 400-year cycles, then years and months.
fn date(days: u64) -> (u64, u64, u64) {
    const CYCLE: u64 = 146_097;
    let mut year = 1970 + days / CYCLE * 400;
    let mut left = days % CYCLE;
    while left >= year_length(year) {
        left -= year_length(year);
        year += 1;
    }
    let february = if year_length(year) == 366 { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

fn year_length(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_from_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(moment(1_795_453_509_000), "2026-11-23 17:05:09");
        assert_eq!(moment(4_102_444_799_000), "2099-12-31 23:59:59");
    }

    #[test]
    fn spans_grow_their_units() {
        let said = [4, 187, 7500].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(said, ["4s", "3m07s", "2h05m"]);
    }
}
