//! Numbers: whole or not, and within their bounds.

use serde_json::{Number, Value};

use super::place;
use crate::error::Cause;
use crate::path::Path;
use crate::schema::{Schema, Type};

/// Whether a number is whole, however it is written.
pub(super) fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|n| n.fract() == 0.0)
}

pub(super) fn check(schema: &Schema, number: &Number, path: Path<'_>, causes: &mut Vec<Cause>) {
    if let Some(format @ ("int32" | "int64")) = schema.format.as_deref()
        && schema.kind == Some(Type::Integer)
        && !fits(format, number)
    {
        causes.push(Cause::invalid(
            "<nil>",
            &Value::from(""),
            format!("Checked value must be of type integer with format {format} in {path}"),
        ));
    }
    let Some(constraints) = schema.constraints.as_deref() else {
        return;
    };
    let shown = Value::Number(number.clone());
    let mut complain = |why: String| {
        causes.push(Cause::invalid(
            place(path),
            &shown,
            format!("{path} in body should be {why}"),
        ));
    };
    if let Some(factor) = &constraints.multiple_of
        && !is_multiple(number, factor)
    {
        complain(format!("a multiple of {}", plain(factor)));
    }
    if let Some(max) = &constraints.maximum {
        let over = compare(number, max);
        match constraints.exclusive_maximum {
            true if over.is_ge() => complain(format!("less than {}", plain(max))),
            false if over.is_gt() => complain(format!("less than or equal to {}", plain(max))),
            _ => {}
        }
    }
    if let Some(min) = &constraints.minimum {
        let under = compare(number, min);
        match constraints.exclusive_minimum {
            true if under.is_le() => complain(format!("greater than {}", plain(min))),
            false if under.is_lt() => complain(format!("greater than or equal to {}", plain(min))),
            _ => {}
        }
    }
}

fn fits(format: &str, number: &Number) -> bool {
    match format {
        "int32" => number
            .as_f64()
            .is_some_and(|n| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&n)),
        _ => number.is_i64() || number.as_f64().is_some_and(|n| n.abs() < 9.2e18),
    }
}

fn compare(left: &Number, right: &Number) -> std::cmp::Ordering {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => as_f64(left).total_cmp(&as_f64(right)),
    }
}

fn is_multiple(number: &Number, factor: &Number) -> bool {
    match (number.as_i64(), factor.as_i64()) {
        (Some(number), Some(factor)) if factor != 0 => number % factor == 0,
        _ => (as_f64(number) / as_f64(factor)).fract() == 0.0,
    }
}

fn as_f64(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// A bound as it is shown: `5`, not `5.0`.
fn plain(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => value.to_string(),
        _ => number.to_string(),
    }
}
