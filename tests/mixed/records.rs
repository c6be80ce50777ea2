//! Three kinds of records, each made of its number, as `mixed_python.py` makes them.

use pypz::prelude::*;

/// Records that are made of a number, so that every byte of one can be checked.
pub(crate) trait Made: PartialEq + std::fmt::Debug + Send + Sync + 'static {
    fn made(number: i64) -> Self;
    fn number(&self) -> i64;
}

impl Made for String {
    fn made(number: i64) -> Self {
        format!("{number}: größer als {} ☃", number - 1)
    }

    fn number(&self) -> i64 {
        self.split(':').next().and_then(|n| n.parse().ok()).unwrap_or(-1)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Nested {
    number: i64,
    inner: Inner,
    note: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Inner {
    name: String,
    weight: f64,
}

impl Made for Nested {
    #[allow(clippy::cast_precision_loss, reason = "numbers of tests are small")]
    fn made(number: i64) -> Self {
        Self {
            number,
            inner: Inner {
                name: format!("inner {number}"),
                weight: number as f64 / 8.0,
            },
            note: (number % 3 != 0).then(|| format!("note {number}")),
        }
    }

    fn number(&self) -> i64 {
        self.number
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Listed {
    number: i64,
    squares: Vec<i64>,
    words: Vec<String>,
}

impl Made for Listed {
    fn made(number: i64) -> Self {
        Self {
            number,
            squares: (0..number % 7).map(|i| i * i).collect(),
            words: (0..number % 3).map(|_| format!("word {number}")).collect(),
        }
    }

    fn number(&self) -> i64 {
        self.number
    }
}
