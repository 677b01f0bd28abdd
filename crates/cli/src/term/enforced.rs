//! Enforcement reports in words, and what was refused.

use std::fmt::Write as _;

use botpipe_engine::activity::Refused;
use botpipe_engine::enforcement::{Enforced, Report};

use super::output::{one_line, printable};
use super::table::table;

/// The reports of a run; nothing where there are none.
pub(crate) fn text(all: &[Enforced]) -> String {
    let mut text = String::new();
    for enforced in all {
        let turns: Vec<String> = enforced.turns.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "\n  sandbox of {}:", one_line(&turns.join(", "), 100));
        text.push_str(&of(&enforced.report));
    }
    text
}

/// What turns were refused; nothing where none was.
pub(crate) fn refused(all: &[Refused]) -> String {
    let mut text = String::new();
    for Refused { turn, sentences } in all {
        let _ = writeln!(text, "\n  refused to {turn}:");
        for sentence in sentences {
            let _ = writeln!(text, "    {}", one_line(sentence, 1000));
        }
    }
    printable(&text)
}

/// One report: a table, then what is left open.
fn of(report: &Report) -> String {
    let rows: Vec<_> = report
        .controls
        .iter()
        .map(|kept| {
            let coverage = kept.coverage.replace('_', " ");
            let canary = kept.canary.clone().unwrap_or_else(|| "-".to_owned());
            [kept.control.clone(), kept.by.clone(), coverage, canary]
        })
        .collect();
    let mut text = table(["CONTROL", "KEPT BY", "COVERAGE", "CANARY"], &rows);
    for kept in &report.controls {
        for gap in &kept.gaps {
            let _ = writeln!(text, "  open: {}: {gap}", kept.control);
        }
    }
    for tried in report.canaries.iter().filter(|it| it.result == "failed") {
        let _ = writeln!(text, "  failed: {}: {}", tried.control, tried.tried);
    }
    if let Some(key) = &report.key {
        let _ = writeln!(text, "  key: {}", key.words());
    }
    printable(&text)
}

#[cfg(test)]
mod tests {
    use botpipe_engine::enforcement::{Kept, KeyPlace, Report};

    #[test]
    fn a_gap_stands_below_the_table() {
        let kept = Kept {
            control: "deny_read".to_owned(),
            by: "mount-namespace".to_owned(),
            coverage: "launch_snapshot".to_owned(),
            gaps: vec!["a file that turns up".to_owned()],
            canary: Some("passed".to_owned()),
        };
        let key = KeyPlace {
            login: "CODEX_API_KEY".to_owned(),
            place: "outside".to_owned(),
            because: None,
        };
        let report = Report { controls: vec![kept], canaries: Vec::new(), key: Some(key) };
        let text = super::of(&report);
        assert_eq!(
            text,
            "  CONTROL    KEPT BY          COVERAGE         CANARY\n  \
             deny_read  mount-namespace  launch snapshot  passed\n  \
             open: deny_read: a file that turns up\n  \
             key: CODEX_API_KEY stays outside of the sandbox\n"
        );
    }
}
