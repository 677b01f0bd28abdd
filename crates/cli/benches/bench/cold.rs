//! Cold start: `workflows list` against `true`.

use std::process::Command;

use crate::Asked;
use crate::line::Line;
use crate::place::{Place, ms, took};

pub(crate) fn measure(asked: &Asked) -> Vec<Line> {
    let rounds = if asked.quick { 10 } else { 60 };
    let place = Place::new();
    let (mut of_true, mut of_list, mut over) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let idle = ms(took(Command::new("true").current_dir(place.path()), b"").wall);
        let list = place.botpipe(&["workflows", "list"]);
        assert_eq!(list.code, 0, "`workflows list` failed");
        of_true.push(idle);
        of_list.push(ms(list.wall));
        over.push(ms(list.wall) - idle);
    }
    vec![
        Line::new("cold: `true`", "ms", of_true, ""),
        Line::new("cold: `botpipe workflows list`", "ms", of_list, ""),
        Line::new("cold: the difference", "ms", over, "list − true, in pairs, one after the other")
            .goal(10.0),
    ]
}
