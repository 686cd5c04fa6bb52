//! Provider parameters: JSON to google.protobuf.Struct and back, without damage.

use std::collections::HashMap;
use std::fmt;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Number, Value};

use crate::Error;

/// From here on neighbouring integers share one double.
const FIRST_INEXACT: f64 = 9_007_199_254_740_992.0;

/// Lays `given` over `bound`, key by key of each provider.
pub(crate) fn merge(bound: &mut Map<String, Value>, given: Map<String, Value>) {
    for (provider, values) in given {
        match (bound.get_mut(&provider), values) {
            (Some(Value::Object(mine)), Value::Object(values)) => mine.extend(values),
            (_, values) => {
                bound.insert(provider, values);
            }
        }
    }
}

/// What the request carries for them; a value that would arrive damaged is refused with its path.
pub(crate) fn to_proto(params: &Map<String, Value>) -> Result<HashMap<String, Struct>, Error> {
    let mut carried = HashMap::with_capacity(params.len());
    for (provider, values) in params {
        let path = || format!("params.{provider}");
        let Value::Object(values) = values else {
            return Err(Error::refused(path(), "the parameters of a provider are a JSON object"));
        };
        let values = object(values).map_err(|damaged| damaged.refused(&path()))?;
        carried.insert(provider.clone(), values);
    }
    Ok(carried)
}

/// A number that would arrive damaged. Its path grows on the way out, so that it costs nothing where all is well.
struct Damaged {
    path: String,
    why: String,
}

impl Damaged {
    fn below(self, step: impl fmt::Display) -> Self {
        Self { path: format!("{step}{}", self.path), ..self }
    }

    fn refused(self, root: &str) -> Error {
        let path = format!("{root}{}", self.path);
        let why = format!("{path} is {}: give it as a string", self.why);
        Error::refused(path, why)
    }
}

fn object(values: &Map<String, Value>) -> Result<Struct, Damaged> {
    let fields = values.iter().map(|(key, value)| match carried(value) {
        Ok(value) => Ok((key.clone(), value)),
        Err(damaged) => Err(damaged.below(format_args!(".{key}"))),
    });
    Ok(Struct { fields: fields.collect::<Result<_, _>>()? })
}

fn carried(value: &Value) -> Result<prost_types::Value, Damaged> {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Number(number) => Kind::NumberValue(double(number)?),
        Value::Object(values) => Kind::StructValue(object(values)?),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let values = items
                .map(|(position, item)| carried(item).map_err(|damaged| damaged.below(format_args!("[{position}]"))));
            Kind::ListValue(ListValue { values: values.collect::<Result<_, _>>()? })
        }
    };
    Ok(prost_types::Value { kind: Some(kind) })
}

fn double(number: &Number) -> Result<f64, Damaged> {
    let damaged = |why| Err(Damaged { path: String::new(), why });
    let value = number.as_f64().unwrap_or(f64::NAN);
    if !value.is_finite() {
        return damaged(format!("{number}, which a double cannot hold"));
    }
    if value.abs() >= FIRST_INEXACT {
        return damaged("a whole number from 2^53 on, which arrives damaged".to_owned());
    }
    Ok(value)
}

/// A Struct of the API (metadata of an image or a result) as JSON. A number that JSON cannot say (NaN, infinity) becomes
/// a string.
pub fn json_from_struct(values: &Struct) -> Map<String, Value> {
    values.fields.iter().map(|(key, value)| (key.clone(), json(value))).collect()
}

fn json(value: &prost_types::Value) -> Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(truth)) => Value::Bool(*truth),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::NumberValue(number)) => {
            Number::from_f64(*number).map_or_else(|| Value::String(number.to_string()), Value::Number)
        }
        Some(Kind::StructValue(values)) => Value::Object(json_from_struct(values)),
        Some(Kind::ListValue(list)) => Value::Array(list.values.iter().map(json).collect()),
    }
}
