//! What a plain scalar of YAML means, if all who read the file agree about it.
//!
//! pypz-python reads YAML 1.1, most others read YAML 1.2. What is a number to one and a text to the other (`1e3`, `0755`,
//! `yes`) is refused, because the same file may be read by both.

use serde_json::Number;

use super::node::Kind;

/// A plain scalar that means something else to somebody else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ambiguous(pub(super) &'static str);

/// The meaning of a plain scalar.
pub(super) fn plain(text: &str) -> Result<Kind, Ambiguous> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Kind::Null),
        "true" | "True" | "TRUE" => return Ok(Kind::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Kind::Bool(false)),
        "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off" | "Off" | "OFF" => {
            return Err(Ambiguous("a boolean to YAML 1.1 and a text to YAML 1.2"));
        }
        "=" => return Err(Ambiguous("a sign of its own to YAML 1.1")),
        "<<" => return Err(Ambiguous("a merge key to YAML 1.1, which is not known here")),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(Kind::Text(text.to_owned()));
    }
    if let Some(number) = number(text, unsigned) {
        return number
            .map(Kind::Number)
            .ok_or(Ambiguous("a number that is too large, or none"));
    }
    let is_number = is_integer_of_1_1(unsigned) || is_float_of_1_2(unsigned) || is_base_60(unsigned);
    match is_number {
        true => Err(Ambiguous("a number to one YAML and something else to another")),
        false if is_date(text) => Err(Ambiguous("a date to YAML 1.1 and a text to YAML 1.2")),
        false => Ok(Kind::Text(text.to_owned())),
    }
}

/// A number that is one to everybody; inside, `None` if it does not fit.
fn number(text: &str, unsigned: &str) -> Option<Option<Number>> {
    if ["inf", "Inf", "INF", "nan", "NaN", "NAN"].contains(&unsigned.strip_prefix('.').unwrap_or("")) {
        return Some(None);
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let decimal = text.strip_prefix('+').unwrap_or(text);
    if digits(unsigned) && (unsigned == "0" || !unsigned.starts_with('0')) {
        let number = decimal.parse::<u64>().map(Number::from);
        return Some(number.or_else(|_| decimal.parse::<i64>().map(Number::from)).ok());
    }
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        let is_one = !hexadecimal.is_empty() && hexadecimal.bytes().all(|b| b.is_ascii_hexdigit());
        return is_one.then(|| u64::from_str_radix(hexadecimal, 16).ok().map(Number::from));
    }
    // YAML 1.1 wants the point, and a sign in the exponent.
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let is_float = match (whole, fraction) {
        ("", fraction) => digits(fraction) && text == unsigned,
        (whole, "") => digits(whole),
        (whole, fraction) => digits(whole) && digits(fraction),
    };
    let exponent_fits = exponent.is_none_or(|exponent| exponent.strip_prefix(['-', '+']).is_some_and(digits));
    (is_float && exponent_fits).then(|| decimal.parse().ok().and_then(Number::from_f64))
}

fn is_integer_of_1_1(unsigned: &str) -> bool {
    let of = |text: &str, is_digit: fn(&u8) -> bool| {
        !text.is_empty() && text.bytes().all(|b| b == b'_' || is_digit(&b))
    };
    let prefixed = [("0b", 2), ("0o", 8), ("0x", 16)].iter().any(|(prefix, radix)| {
        let digits = unsigned.strip_prefix(prefix).unwrap_or_default();
        !digits.is_empty() && digits.chars().all(|c| c == '_' || c.is_digit(*radix))
    });
    prefixed || of(unsigned, u8::is_ascii_digit)
}

fn is_float_of_1_2(unsigned: &str) -> bool {
    let plain: String = unsigned.chars().filter(|c| *c != '_').collect();
    plain.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && plain.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && plain.parse::<f64>().is_ok()
}

/// `1:30` is 90 to YAML 1.1.
fn is_base_60(unsigned: &str) -> bool {
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else {
        return false;
    };
    let is_sixtieth = |text: &str| {
        (1..=2).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit())
            && text.parse::<u8>().is_ok_and(|n| n < 60)
    };
    let last = last.split_once('.').map_or(*last, |(whole, _)| whole);
    !first.is_empty()
        && first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && middle.iter().copied().all(is_sixtieth)
        && is_sixtieth(last)
}

fn is_date(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    year.is_some_and(|year| year.len() == 4 && digits(year))
        && month.is_some_and(|month| month.len() <= 2 && digits(month))
        && day.is_some_and(|day| day.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str) -> Option<serde_json::Value> {
        let at = super::super::node::Mark { line: 1, column: 1 };
        plain(text)
            .ok()
            .map(|kind| super::super::node::Node { at, kind }.value())
    }

    #[test]
    fn what_every_yaml_agrees_about_is_read() {
        for (text, meant) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("false", json!(false)),
            ("0", json!(0)),
            ("-12", json!(-12)),
            ("+7", json!(7)),
            ("18446744073709551615", json!(u64::MAX)),
            ("0x1F", json!(31)),
            ("1.5", json!(1.5)),
            ("-1.", json!(-1.0)),
            (".5", json!(0.5)),
            ("1.0e+3", json!(1000.0)),
            ("localhost:9092", json!("localhost:9092")),
            ("127.0.0.1:9092", json!("127.0.0.1:9092")),
            ("1.2.3", json!("1.2.3")),
            ("-", json!("-")),
            ("<class 'a.B'>", json!("<class 'a.B'>")),
            ("3 apples", json!("3 apples")),
            ("shop:Orders", json!("shop:Orders")),
            ("123:4567", json!("123:4567")),
        ] {
            assert_eq!(value(text), Some(meant), "{text}");
        }
    }

    #[test]
    fn what_means_something_else_to_another_yaml_is_refused() {
        for text in [
            "yes",
            "No",
            "ON",
            "off",
            "=",
            "1e3",
            "1.0e3",
            "1_000",
            "0755",
            "007",
            "0o17",
            "0b11",
            "0x_1",
            "1:30",
            "1:30.5",
            "2013-01-02",
            "2013-1-2 10:00",
            ".inf",
            "-.INF",
            ".nan",
            "18446744073709551616",
            "-.5",
            "1_0.5",
            "1.0e+999",
        ] {
            assert!(plain(text).is_err(), "{text}: {:?}", plain(text));
        }
    }
}
