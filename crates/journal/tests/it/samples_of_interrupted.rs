//! Events of turns that were cut off, and of what they ask leave for.

use botpipe_kernel::plan::OnInterrupt;
use botpipe_kernel::run::{Event, InterruptCause, Leave, Permission, Wanted, WantedKind};

use crate::samples::{digest, tree, turn, visit};

pub(crate) fn all() -> Vec<Event> {
    vec![
        Event::TurnInterrupted {
            turn: turn(),
            cause: InterruptCause::Signal(15),
            tree: Some(tree('7')),
            then: OnInterrupt::Resume,
            // Its golden row is from before it had these.
            usage: None,
            took_ms: 0,
        },
        Event::TreeRestored { visit: visit(), to: tree('8'), kept: tree('9') },
        Event::RestoreRefused {
            turn: turn(),
            tree: tree('8'),
            changed: vec!["src/main.rs".to_owned()],
        },
        Event::PermissionAnswered { turn: turn(), permission: Box::new(permission()) },
    ]
}

fn permission() -> Permission {
    let wanted = Wanted {
        kind: WantedKind::Edit,
        what: "src/main.rs".to_owned(),
        detail: Some("+fn main() {}".to_owned()),
        cwd: Some("/elsewhere".to_owned()),
        why: Some("it does not start".to_owned()),
        exact: digest('a'),
        alike: digest('b'),
    };
    Permission { wanted, leave: Leave::Always, note: Some("carefully".to_owned()) }
}
