//! Plain scalars by the core schema of YAML 1.2.

use std::borrow::Cow;

use super::Value;

/// What an unquoted scalar means. `yes`, `no`, `on` and `off` are texts.
pub(super) fn plain(text: Cow<'_, str>) -> Value {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    if let Some(value) = whole(&text) {
        return Value::Int(value);
    }
    if let Some(value) = fraction(&text) {
        return Value::Float(value);
    }
    Value::Text(text.into_owned())
}

fn whole(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return unsigned(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return unsigned(digits, 8);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn unsigned(digits: &str, radix: u32) -> Option<i64> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok()
}

fn fraction(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let good = digits(before)
        && digits(after)
        && !(before.is_empty() && after.is_empty())
        && exponent.is_none_or(|part| {
            let part = part.strip_prefix(['+', '-']).unwrap_or(part);
            !part.is_empty() && digits(part)
        });
    if good { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_core_schema_is_read() {
        for text in ["yes", "no", "on", "off", "y", "1_000", "0b1", "12:30", "1e", ".", "-", "+.e1"]
        {
            assert!(matches!(plain(text.into()), Value::Text(_)), "{text}");
        }
        assert!(matches!(plain("0o17".into()), Value::Int(15)));
        assert!(matches!(plain("0x1F".into()), Value::Int(31)));
        assert!(matches!(plain("-7".into()), Value::Int(-7)));
        assert!(matches!(plain("007".into()), Value::Int(7)));
        for text in ["1.5", ".5", "1.", "-1e3", "6.02e+23", "-.inf"] {
            assert!(matches!(plain(text.into()), Value::Float(_)), "{text}");
        }
    }
}
