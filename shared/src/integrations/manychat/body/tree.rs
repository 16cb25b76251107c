//! The value of a body before it becomes JSON: the fields of an object keep their order, and repeated ones are kept.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

/// A value with the fields of its objects in the order in which they were written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    /// An object. A name may occur several times.
    Object(Vec<(String, Tree)>),
    /// An array.
    Array(Vec<Tree>),
    /// Any other value.
    Scalar(Value),
}

impl Tree {
    /// Returns the value as JSON. Of a repeated field, the last value counts.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Object(fields) => fields.into_iter().map(|(name, value)| (name, value.into_value())).collect(),
            Self::Array(values) => values.into_iter().map(Self::into_value).collect(),
            Self::Scalar(value) => value,
        }
    }

    /// Returns true for an object with a field.
    pub(super) fn has_fields(&self) -> bool {
        matches!(self, Self::Object(fields) if !fields.is_empty())
    }
}

/// Reads valid JSON.
pub(super) fn read_strictly(body: &[u8]) -> serde_json::Result<Tree> {
    serde_json::from_slice(body)
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element()? {
            values.push(value);
        }
        Ok(Tree::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = access.next_entry()? {
            fields.push(field);
        }
        Ok(Tree::Object(fields))
    }
}
