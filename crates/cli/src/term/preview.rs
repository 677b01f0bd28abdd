//! What a run would be, for `run --dry-run`.

use std::fmt::Write as _;

use botpipe_engine::request::{Bound, Preview};
use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::TurnProvider;
use botpipe_kernel::run::{Provider, Providers};
use botpipe_lang::WorstCase;
use serde_json::{Value, json};

use super::agent::agent;
use super::table::table;

/// A person's view.
pub(crate) fn text(preview: &Preview) -> String {
    let plan = &preview.plan;
    let would = if preview.refused.is_empty() { "would run" } else { "would be refused" };
    let mut text = format!("workflow {} {would}; nothing was started\n", plan.name);
    let provider = preview.provider.as_ref().map_or_else(|| "none is needed".to_owned(), agent);
    let _ = writeln!(text, "  agent: {provider}");
    for (whose, named, own) in named(preview) {
        let who = own.as_ref().map_or_else(|| named.name(), agent);
        let _ = writeln!(text, "  agent of {whose}: {who}");
    }
    for fallback in &preview.fallbacks {
        let _ = writeln!(text, "  at a limit: {}", agent(fallback));
    }
    let _ = writeln!(text, "  input: {}", preview.input);
    let _ = writeln!(text, "  params: {}", preview.params);
    let mut rows = Vec::new();
    for (step, Bound { policy, others }) in plan.steps.iter().zip(&preview.bound) {
        let scope = step.scope.as_ref().map_or(String::new(), |it| format!(" for each {it}"));
        let most = format!("{}{scope}", step.max_visits);
        rows.push(row(step.id.to_string(), step.kind().to_owned(), most, policy));
        for (role, policy) in others {
            rows.push(row(String::new(), format!("  its {role}"), String::new(), policy));
        }
    }
    text.push('\n');
    let heading = ["STEP", "KIND", "MOST VISITS", "SANDBOX", "NETWORK", "ENFORCED BY"];
    text.push_str(&table(heading, &rows));
    text.push('\n');
    let _ = writeln!(text, "  worst case: {}", preview.worst.map_or(String::new(), worst));
    if preview.budget.is_none() {
        text.push_str(
            "  budget: none; set one with `--budget usd=5` or `budget:` in the workflow\n",
        );
    }
    for (of, limit) in preview.budget.bounds() {
        let _ = writeln!(
            text,
            "  budget: {}; it stops before the turn after it is reached",
            of.amount(limit)
        );
    }
    for step in &plan.steps {
        for (of, limit) in step.budget.bounds() {
            let each = if step.scope.is_some() { " for each item" } else { "" };
            let _ = writeln!(text, "  budget of `{}`: {}{each}", step.id, of.amount(limit));
        }
    }
    for note in &preview.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    for refused in &preview.refused {
        let _ = writeln!(text, "  refused: {refused}");
    }
    text
}

/// The turns that another agent does than the run's: whose they are, and who does them.
fn named(preview: &Preview) -> Vec<(String, &TurnProvider, Option<Provider>)> {
    let cast = Providers { of_run: preview.provider.as_ref(), named: &preview.providers };
    let steps = preview.plan.steps.iter();
    let turns = steps.flat_map(|step| step.agents().map(move |role| (step, role)));
    let named = turns.filter_map(|(step, role)| {
        let whose = match role {
            Role::Worker => format!("`{}`", step.id),
            role => format!("the {role} of `{}`", step.id),
        };
        Some((whose, cast.own(step, role)?, cast.of(step, role)))
    });
    named.collect()
}

fn row(step: String, kind: String, most: String, policy: &Value) -> [String; 6] {
    let word = |key: &str| policy[key].as_str().unwrap_or_default().to_owned();
    let by = policy["enforced_by"].as_str().unwrap_or("nobody").to_owned();
    [step, kind, most, word("sandbox_mode"), word("network"), by]
}

fn worst(worst: WorstCase) -> String {
    match worst {
        WorstCase { most: 0, .. } => "no turn of an agent".to_owned(),
        WorstCase { fixed, per_item: 0, most } if most > fixed => {
            format!("{most} turns of agents, what functions ask for included")
        }
        WorstCase { fixed, per_item: 0, .. } => format!("{fixed} turns of agents"),
        WorstCase { fixed, per_item, most } => format!(
            "{fixed} turns of agents, {per_item} more for each item ({} with 10 items), never more \
             than {most}",
            worst.with_items(10)
        ),
    }
}

/// # Shape
/// `{"dry_run": true, "workflow", "input", "params", "provider", "providers", "fallbacks", "steps": [{"id", "kind", "scope"?,
/// "max_visits", "policy", "policies"?: {ROLE: …}, "budget"?,
/// "providers"?: {ROLE: NAME}}], "worst_case": {"fixed", "per_item", "most"}, "budget", "notes", "refused"}`
pub(crate) fn view(preview: &Preview) -> Value {
    let plan = &preview.plan;
    let steps = plan.steps.iter().zip(&preview.bound).map(|(step, Bound { policy, others })| {
        let mut shown = json!({
            "id": step.id,
            "kind": step.kind(),
            "scope": step.scope,
            "max_visits": step.max_visits,
            "policy": policy,
        });
        if !step.budget.is_none() {
            shown["budget"] = json!(step.budget);
        }
        let cast = Providers { of_run: preview.provider.as_ref(), named: &preview.providers };
        for (role, own) in step.agents().filter_map(|role| Some((role, cast.own(step, role)?))) {
            shown["providers"][role.as_str()] = json!(own.name());
        }
        for (role, policy) in others {
            shown["policies"][role.as_str()] = policy.clone();
        }
        shown
    });
    json!({
        "dry_run": true,
        "workflow": plan.name,
        "input": preview.input,
        "params": preview.params,
        "provider": preview.provider,
        "providers": preview.providers,
        "fallbacks": preview.fallbacks,
        "steps": steps.collect::<Vec<_>>(),
        "worst_case": preview.worst,
        "budget": preview.budget,
        "notes": preview.notes,
        "refused": preview.refused,
    })
}
