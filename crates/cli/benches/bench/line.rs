//! One measured line: its samples, its goal, and how the table is printed.

use serde_json::json;

/// One number of the table.
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    /// What was measured, each time.
    pub(crate) samples: Vec<f64>,
    /// The median may not be over this.
    pub(crate) goal: Option<f64>,
    /// What was subtracted, and how.
    pub(crate) how: &'static str,
}

impl Line {
    pub(crate) fn new(
        what: impl Into<String>,
        unit: &'static str,
        samples: Vec<f64>,
        how: &'static str,
    ) -> Self {
        Self { what: what.into(), unit, samples, goal: None, how }
    }

    pub(crate) fn goal(mut self, most: f64) -> Self {
        self.goal = Some(most);
        self
    }

    pub(crate) fn misses(&self) -> bool {
        self.goal.is_some_and(|goal| median(&self.samples) > goal)
    }

    fn verdict(&self) -> &'static str {
        match self.goal {
            None => "",
            Some(_) if self.misses() => "over goal",
            Some(_) => "PASS",
        }
    }
}

/// The middle of the samples.
pub(crate) fn median(samples: &[f64]) -> f64 {
    at(samples, 0.5)
}

/// The sample below which this share lies.
fn at(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a handful of samples"
    )]
    let place = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// The table, or one JSON document.
pub(crate) fn print(lines: &[Line], as_json: bool) {
    if as_json {
        let rows: Vec<_> = lines
            .iter()
            .map(|line| {
                json!({
                    "what": line.what,
                    "unit": line.unit,
                    "median": median(&line.samples),
                    "q1": at(&line.samples, 0.25),
                    "q3": at(&line.samples, 0.75),
                    "samples": line.samples.len(),
                    "goal": line.goal,
                    "verdict": line.verdict(),
                    "how": line.how,
                })
            })
            .collect();
        println!("{:#}", json!({ "bench": 1, "lines": rows }));
        return;
    }
    println!(
        "{:<46} {:>10} {:>22} {:>4} {:>8}  verdict",
        "what", "median", "quartiles", "n", "goal"
    );
    for line in lines {
        let goal = line.goal.map(|goal| format!("{goal}")).unwrap_or_default();
        println!(
            "{:<46} {:>10.3} {:>10.3} – {:>9.3} {:>4} {:>8}  {}",
            format!("{} [{}]", line.what, line.unit),
            median(&line.samples),
            at(&line.samples, 0.25),
            at(&line.samples, 0.75),
            line.samples.len(),
            goal,
            line.verdict()
        );
        if !line.how.is_empty() {
            println!("    {}", line.how);
        }
    }
}
