//! Budgets as they are typed: `usd=5`, `tokens=2000000`, `turns=40`, `wall=2h`.

use std::collections::BTreeMap;

use botpipe_kernel::ids::StepId;
use botpipe_kernel::plan::{Budget, Spending};

/// A bound as it would be typed.
pub(crate) fn word(of: Spending, amount: u64) -> String {
    let key = of.as_str();
    match of {
        Spending::Cost => format!("{key}={}.{:02}", amount / 1_000_000, amount / 10_000 % 100),
        Spending::Tokens | Spending::Turns => format!("{key}={amount}"),
        Spending::Wall => format!("{key}={}s", amount.div_ceil(1000)),
    }
}

/// Reads one bound.
///
/// # Errors
/// In words: what is expected.
pub(crate) fn read(text: &str) -> Result<Budget, String> {
    const EXPECTED: &str = "write usd=5.50, tokens=2000000, turns=40 or wall=2h";
    let (key, amount) = text.split_once('=').ok_or(EXPECTED)?;
    let positive = || amount.parse::<u64>().ok().filter(|it| *it > 0).ok_or(EXPECTED);
    let mut budget = Budget::default();
    match key {
        "usd" => budget.cost = Some(dollars(amount).ok_or(EXPECTED)?),
        "tokens" => budget.tokens = Some(positive()?),
        "turns" => budget.turns = Some(u32::try_from(positive()?).map_err(|_| EXPECTED)?),
        "wall" => budget.wall_ms = Some(duration(amount).ok_or(EXPECTED)?),
        _ => return Err(EXPECTED.to_owned()),
    }
    Ok(budget)
}

/// A bound of a step's budget, or of the run's.
pub(crate) type Of = (Option<StepId>, Budget);

/// Reads one bound, of a step where its id stands before it.
///
/// # Errors
/// In words: what is expected.
pub(crate) fn read_of(text: &str) -> Result<Of, String> {
    let Some((step, bound)) = text.split_once(':') else { return Ok((None, read(text)?)) };
    let step = step.parse().map_err(|error| format!("{error}"))?;
    Ok((Some(step), read(bound)?))
}

/// The run's bounds, and those of steps; the last of a kind counts.
pub(crate) fn sorted(bounds: Vec<Of>) -> (Budget, BTreeMap<StepId, Budget>) {
    let (mut run, mut steps) = (Budget::default(), BTreeMap::<StepId, Budget>::new());
    for (step, bound) in bounds {
        let of = step.map_or(&mut run, |step| steps.entry(step).or_default());
        *of = bound.or(of);
    }
    (run, steps)
}

/// All bounds that were typed; the last of a kind counts.
pub(crate) fn all(bounds: &[Budget]) -> Budget {
    bounds.iter().rev().fold(Budget::default(), Budget::or)
}

/// Millionths of what is written with at most six digits after the point.
fn dollars(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    if part.len() > 6 || !digits(whole) || !digits(part) || whole.is_empty() {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    let sum = whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)?;
    (sum > 0).then_some(sum)
}

fn duration(text: &str) -> Option<u64> {
    let at = text.find(|it: char| !it.is_ascii_digit())?;
    let unit = match &text[at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    text[..at].parse::<u64>().ok()?.checked_mul(unit).filter(|it| *it > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_and_written() {
        assert_eq!(read("usd=5.50").unwrap().cost, Some(5_500_000));
        assert_eq!(read("usd=0.000001").unwrap().cost, Some(1));
        assert_eq!(read("tokens=2000000").unwrap().tokens, Some(2_000_000));
        assert_eq!(read("turns=40").unwrap().turns, Some(40));
        assert_eq!(read("wall=90m").unwrap().wall_ms, Some(5_400_000));
        for none in [
            "",
            "usd",
            "usd=",
            "usd=-1",
            "usd=0",
            "usd=1.2345678",
            "tokens=1.5",
            "turns=0",
            "wall=5",
            "wall=h",
            "wall=0s",
            "euro=5",
        ] {
            assert!(read(none).is_err(), "{none}");
        }
        assert_eq!(word(Spending::Cost, 2_000_000), "usd=2.00");
        let (run, steps) = sorted(
            ["fix:turns=3", "usd=1", "fix:wall=1s", "fix:turns=4"]
                .map(|it| read_of(it).unwrap())
                .to_vec(),
        );
        assert_eq!(run, read("usd=1").unwrap());
        let of_step = Budget { turns: Some(4), wall_ms: Some(1000), ..Budget::default() };
        assert_eq!(steps.into_values().collect::<Vec<_>>(), [of_step]);
        assert!(read_of(":turns=3").is_err() && read_of("a b:turns=3").is_err());
        assert_eq!(word(Spending::Wall, 1), "wall=1s");
    }
}
