//! Fields of a JSON object, with a check for fields that name the contact twice.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value};

/// The fields that name the contact. A body in which one of them has two values may be forged by a contact's text, so
/// it is not read.
const IDENTITY_FIELDS: [&str; 9] =
    ["contact_id", "subscriber_id", "user_id", "id", "key", "contact", "subscriber", "user", "subscriber_data"];

/// The fields of an object, with the identity field that occurs twice in it or in an object within it, if one does.
#[derive(Debug, Default)]
pub(super) struct FieldMap {
    pub(super) map: Map<String, Value>,
    pub(super) repeated: Option<&'static str>,
}

impl FieldMap {
    pub(super) fn insert(&mut self, name: String, value: Value) {
        let identity = IDENTITY_FIELDS.iter().copied().find(|field| *field == name);
        match (identity, self.map.get(&name)) {
            (Some(field), Some(known)) if *known != value => self.repeated = Some(field),
            _ => {}
        }
        self.map.insert(name, value);
    }
}

/// A value of a valid JSON object.
#[derive(Deserialize)]
#[serde(untagged)]
enum FieldValue {
    Object(FieldMap),
    Other(Value),
}

impl<'de> Deserialize<'de> for FieldMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Reads the fields of a valid JSON object.
pub(super) fn strict_fields(body: &[u8]) -> serde_json::Result<FieldMap> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    let fields = FieldMap::deserialize(&mut parser)?;
    parser.end().map(|()| fields)
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = FieldMap;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<FieldMap, A::Error> {
        let mut fields = FieldMap::default();
        while let Some((name, value)) = access.next_entry()? {
            let value = match value {
                FieldValue::Object(nested) => {
                    fields.repeated = fields.repeated.or(nested.repeated);
                    Value::Object(nested.map)
                }
                FieldValue::Other(value) => value,
            };
            fields.insert(name, value);
        }
        Ok(fields)
    }
}
