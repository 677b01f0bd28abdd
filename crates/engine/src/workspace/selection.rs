//! Which items of a worklist a run works on, as a person says it by item, start and end.

use super::worklists::RawItem;

/// What was said; an empty text says nothing.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    pub mode: String,
    pub item: String,
    pub start: String,
    pub end: String,
}

/// The items that are selected, in the order of the list.
///
/// Without a mode it follows from what is said: an item is `single`, a start is `from_to`, an end alone
/// is `up_to`, nothing is `all`.
///
/// # Errors
/// What is missing or unknown, and the ids there are.
pub fn select(items: Vec<RawItem>, said: &Selected) -> Result<Vec<RawItem>, String> {
    let [mode, item, start, end] =
        [&said.mode, &said.item, &said.start, &said.end].map(|text| text.trim());
    let mode = match mode {
        "" if !item.is_empty() => "single",
        "" if !start.is_empty() => "from_to",
        "" if !end.is_empty() => "up_to",
        "" => "all",
        mode => mode,
    };
    let place = |what: &str, id: &str| {
        if id.is_empty() {
            return Err(format!("mode `{mode}` needs `{what}`"));
        }
        items.iter().position(|item| item.id.as_str() == id).ok_or_else(|| {
            format!("`{what}` is `{id}`, and there is no such item; there are {}", known(&items))
        })
    };
    let last = items.len().saturating_sub(1);
    let (from, to) = match mode {
        "all" => return Ok(items),
        "single" => {
            let at = place("item", item)?;
            (at, at)
        }
        // The end may be said as the item, too.
        "up_to" if end.is_empty() => (0, place("item", item)?),
        "up_to" => (0, place("end", end)?),
        "from_to" => {
            (place("start", start)?, if end.is_empty() { last } else { place("end", end)? })
        }
        _ => {
            return Err(format!(
                "`{mode}` is no mode: there are `all`, `single`, `up_to` and `from_to`"
            ));
        }
    };
    if from > to {
        return Err(format!("`start` (`{start}`) comes after `end` (`{end}`)"));
    }
    Ok(items.into_iter().take(to + 1).skip(from).collect())
}

fn known(items: &[RawItem]) -> String {
    const SHOWN: usize = 20;
    let ids = items.iter().take(SHOWN).map(|item| format!("`{}`", item.id)).collect::<Vec<_>>();
    let more = items.len().saturating_sub(SHOWN);
    match (ids.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => ids.join(", "),
        (false, more) => format!("{} and {more} more", ids.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use botpipe_kernel::run::ItemStatus;

    use super::*;

    fn picked(mode: &str, item: &str, start: &str, end: &str) -> Result<String, String> {
        let [mode, item, start, end] = [mode, item, start, end].map(str::to_owned);
        let items = ["a", "b", "c", "d"].map(|id| RawItem {
            id: id.parse().unwrap_or_else(|_| unreachable!()),
            title: None,
            status: ItemStatus::Planned,
            payload: serde_json::Value::Null,
        });
        let picked = select(items.into(), &Selected { mode, item, start, end })?;
        Ok(picked.iter().map(|item| item.id.as_str()).collect())
    }

    #[test]
    fn items_are_picked_as_it_is_said() {
        let cases = [
            (["", "", "", ""], Ok("abcd")),
            (["all", "b", "", ""], Ok("abcd")),
            (["", "b", "", ""], Ok("b")),
            (["up_to", "b", "", ""], Ok("ab")),
            (["", "", "", "c"], Ok("abc")),
            (["", "", "c", ""], Ok("cd")),
            (["from_to", "", "b", "c"], Ok("bc")),
            ([" single ", " d ", "", ""], Ok("d")),
            (["single", "", "", ""], Err("mode `single` needs `item`")),
            (["from_to", "", "", "c"], Err("mode `from_to` needs `start`")),
            (["", "", "c", "b"], Err("`start` (`c`) comes after `end` (`b`)")),
            (
                ["", "x", "", ""],
                Err("`item` is `x`, and there is no such item; there are `a`, `b`, `c`, `d`"),
            ),
            (
                ["some", "", "", ""],
                Err("`some` is no mode: there are `all`, `single`, `up_to` and `from_to`"),
            ),
        ];
        for ([mode, item, start, end], wanted) in cases {
            let wanted = wanted.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(picked(mode, item, start, end), wanted, "{mode} {item} {start} {end}");
        }
    }
}
