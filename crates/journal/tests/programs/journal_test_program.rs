//! The double of the journal's tests: an owner in a process of its own, and the bench of appends.

#![expect(clippy::print_stdout, reason = "it speaks with the test over pipes")]
#![expect(clippy::expect_used, reason = "a double that cannot go on fails its test by ending")]

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use botpipe_journal::{Error, Journal, NewRun, Owner};
use botpipe_kernel::run::Event;

fn main() {
    let mut args = std::env::args().skip(1);
    let verb = args.next().unwrap_or_default();
    let root = PathBuf::from(args.next().unwrap_or_default());
    match verb.as_str() {
        "hold" => hold(&root, &args.next().unwrap_or_default()),
        "cost" => cost(&root),
        other => panic!("no verb `{other}`"),
    }
}

fn say(word: &str) {
    println!("{word}");
    io::stdout().flush().expect("standard output");
}

fn hear() -> Option<String> {
    io::stdin().lock().lines().next().and_then(Result::ok)
}

/// Says `ready`; at the first line it takes the lease and says `held` or `busy`; at each further line
/// it appends an event and says its number; at the end of input it ends.
fn hold(root: &Path, run: &str) {
    let run = run.parse().expect("a run id");
    let journal = Journal::open(root).expect("the journal opens");
    say("ready");
    hear();
    let lease = match journal.acquire(&run, &Owner::current("journal-test-program")) {
        Ok(lease) => lease,
        Err(Error::Busy { .. }) => return say("busy"),
        Err(other) => panic!("{other}"),
    };
    say("held");
    while hear().is_some() {
        match journal.append(&lease, 1, &[Event::RunCancelled], None) {
            Ok(appended) => say(&appended.last_seq.to_string()),
            Err(Error::LeaseLost { .. }) => say("lost"),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Prints the median cost of an append beside that of one write and `fdatasync` in the same folder,
/// taken in turns so that both see the same disk.
fn cost(root: &Path) {
    const ROUNDS: usize = 400;
    let journal = Journal::open(root).expect("the journal opens");
    let new = NewRun {
        run: "cost".parse().expect("an id"),
        task: "cost".parse().expect("an id"),
        workflow: "cost".parse().expect("a name"),
        at: 1,
    };
    let lease = journal.create_run(new, &Owner::current("cost")).expect("a lease");
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(root.join("bare"))
        .expect("a file");
    file.write_all_at(&vec![7; 4096 * 16], 0)
        .and_then(|()| file.sync_all())
        .expect("a written file");
    let event: Event = serde_json::from_str(
        r#"{"kind":"turn_ended","turn":"plan/1/worker/1","result":{"completed":{"text":{"inline":"done, and this is what I did"}}}}"#,
    )
    .expect("an event");
    let (mut appends, mut soons, mut bares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let since = Instant::now();
        let place = 4096 * (round % 16) as u64;
        file.write_all_at(&[round.to_le_bytes()[0]; 4096], place).expect("a write");
        file.sync_data().expect("a sync");
        bares.push(since.elapsed());
        let since = Instant::now();
        journal.append(&lease, 1, std::slice::from_ref(&event), None).expect("an append");
        appends.push(since.elapsed());
        if round % 8 == 0 {
            let since = Instant::now();
            journal.append_soon(&lease, 1, std::slice::from_ref(&event)).expect("an append");
            soons.push(since.elapsed());
        }
    }
    let (append, bare, soon) = (median(appends), median(bares), median(soons));
    say(&format!(
        "append {append:?}  bare write+fdatasync {bare:?}  ratio {:.2}  append_soon {soon:?}",
        append.as_secs_f64() / bare.as_secs_f64()
    ));
    let size = |name: &str| std::fs::metadata(root.join(name)).map_or(0, |file| file.len());
    say(&format!("botpipe.db {} bytes, log {} bytes", size("botpipe.db"), size("botpipe.db-wal")));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
