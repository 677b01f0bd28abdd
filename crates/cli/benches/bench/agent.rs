//! The agent of the bench: does what `ralph_loop` asks as fast as a program can.

use std::fs;
use std::io::Read as _;
use std::path::Path;

/// The argument that makes this program the agent.
pub(crate) const WORD: &str = "__agent";

/// Items in the plan; handed over by `--pass-env`.
pub(crate) const ITEMS: &str = "BENCH_ITEMS";

/// Reads the prompt, does the turn that the environment names, answers.
pub(crate) fn answer() {
    let mut prompt = String::new();
    std::io::stdin().read_to_string(&mut prompt).unwrap();
    let said = |name: &str| std::env::var(name).unwrap_or_default();
    let (step, role) = (said("BOTPIPE_STEP"), said("BOTPIPE_ROLE"));
    let folder = said("BOTPIPE_WORKFLOW_FOLDER");
    let folder = Path::new(&folder);
    match (step.as_str(), role.as_str()) {
        ("plan", "producer") => {
            let items = said(ITEMS).parse().unwrap();
            fs::write(folder.join("work.json"), plan(items)).unwrap();
        }
        ("plan", _) => review(&folder.join("plan/plan_review.md")),
        (_, "producer") => fs::write("CHANGES", said("BOTPIPE_ITEM")).unwrap(),
        _ => {
            let item = said("BOTPIPE_ITEM");
            review(&folder.join(format!("implement/items/{item}/implementation_review.md")));
        }
    }
    println!("Done.\n```json\n{{\"outcome\": {{\"tag\": \"accepted\"}}}}\n```");
}

fn review(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "Accepted.\n").unwrap();
}

fn plan(items: u32) -> String {
    let items: Vec<_> = (1..=items)
        .map(|n| {
            serde_json::json!({
                "id": format!("item-{n}"),
                "title": format!("Item {n}"),
                "status": "planned",
                "goal": format!("Do the thing number {n}."),
                "acceptance_checks": ["It is done."],
            })
        })
        .collect();
    serde_json::json!({ "goal": "All of them.", "items": items }).to_string()
}
