//! The class of a failure, from the status the service answered with, and where there is none, from
//! the words people are shown.

use botpipe_kernel::run::FailureClass;

/// The class of an HTTP status; `None` for one that says nothing.
///
/// # Source
/// What the Responses and the Messages API answer with: 529 is the latter's word for overloaded. 502 says who
/// stands between, of what it could not reach; our own endpoint too.
pub(crate) fn of_status(status: u16) -> Option<FailureClass> {
    Some(match status {
        401 | 403 => FailureClass::Auth,
        402 => FailureClass::Quota,
        404 => FailureClass::ModelNotFound,
        413 => FailureClass::ContextOverflow,
        429 => FailureClass::RateLimited,
        503 | 529 => FailureClass::Overloaded,
        400 | 422 => FailureClass::BadRequest,
        502 => FailureClass::Network,
        500..=599 => FailureClass::ServerError,
        _ => return None,
    })
}

/// The class of a message; `None` for one that is not known.
///
/// The table is `texts.txt` beside this file: a class and a text that only its messages hold, in lower
/// case. The first that fits wins.
pub(crate) fn of_text(message: &str) -> Option<FailureClass> {
    let message = message.to_lowercase();
    TABLE
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(_, text)| message.contains(text))
        .and_then(|(class, _)| class_of(class))
}

fn class_of(word: &str) -> Option<FailureClass> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

const TABLE: &str = include_str!("texts.txt");

#[cfg(test)]
mod tests {
    use super::{TABLE, class_of, of_text};

    #[test]
    fn every_line_of_the_table_is_a_class_and_a_text_that_finds_it() {
        for line in TABLE.lines() {
            let (class, text) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            let class = class_of(class).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(text, text.to_lowercase());
            assert_eq!(
                of_text(&format!("Oh: {text}.")),
                Some(class),
                "an earlier line hides {line}"
            );
        }
    }
}
