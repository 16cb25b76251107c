//! The encoding of spans as OTLP's protobuf messages, version 1.
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/v1.7.0/opentelemetry/proto/trace/v1/trace.proto>

use std::time::Duration;

use super::context::{SpanContext, SpanId};

/// Version of OpenTelemetry's semantic conventions that names and values of the attributes follow.
pub const SEMANTIC_CONVENTIONS: &str = "1.37.0";

/// Flags of a span: it is known whether the parent is remote, and the parent is remote.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;
/// OTLP's status of a failed span.
const STATUS_CODE_ERROR: u64 = 2;

/// The relation of a span to its parent and children, with OTLP's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Work inside the process.
    Internal = 1,
    /// Handling of a request.
    Server = 2,
    /// A call of another system.
    Client = 3,
    /// Sending of a queue message.
    Producer = 4,
    /// Processing of a queue message.
    Consumer = 5,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// A constant text.
    Static(&'static str),
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// A list of texts.
    Texts(Vec<String>),
}

impl From<&'static str> for AttributeValue {
    fn from(value: &'static str) -> Self {
        Self::Static(value)
    }
}

impl From<String> for AttributeValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<u32> for AttributeValue {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u16> for AttributeValue {
    fn from(value: u16) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Vec<String>> for AttributeValue {
    fn from(value: Vec<String>) -> Self {
        Self::Texts(value)
    }
}

/// A finished span.
#[derive(Debug)]
pub(super) struct SpanRecord<'a> {
    pub(super) context: SpanContext,
    pub(super) parent: Option<SpanId>,
    pub(super) parent_is_remote: bool,
    pub(super) name: &'a str,
    pub(super) kind: SpanKind,
    /// Since 1970.
    pub(super) started: Duration,
    /// Since 1970.
    pub(super) ended: Duration,
    pub(super) attributes: &'a [(&'static str, AttributeValue)],
    pub(super) is_error: bool,
}

impl SpanRecord<'_> {
    /// Encodes the span as a message `Span`.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut span = Message::default();
        span.bytes(1, &self.context.trace_id);
        span.bytes(2, &self.context.span_id);
        if let Some(parent) = &self.parent {
            span.bytes(4, parent);
        }
        span.bytes(5, self.name.as_bytes());
        span.number(6, self.kind as u64);
        span.fixed64(7, nanoseconds(self.started));
        span.fixed64(8, nanoseconds(self.ended));
        for (name, value) in self.attributes {
            span.attribute(9, name, value);
        }
        if self.is_error {
            span.message(15, |status| status.number(3, STATUS_CODE_ERROR));
        }
        let remote = if self.parent_is_remote { IS_REMOTE } else { 0 };
        span.fixed32(16, u32::from(self.context.is_sampled) | HAS_IS_REMOTE | remote);
        span.0
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Encodes an `ExportTraceServiceRequest` with the encoded `spans` of one resource.
pub(super) fn export_request(resource: &[(&'static str, AttributeValue)], spans: &[Vec<u8>]) -> Vec<u8> {
    let schema = format!("https://opentelemetry.io/schemas/{SEMANTIC_CONVENTIONS}");
    let mut request = Message::default();
    request.message(1, |resource_spans| {
        resource_spans.message(1, |encoded| {
            for (name, value) in resource {
                encoded.attribute(1, name, value);
            }
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.bytes(1, b"lisa");
                scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            for span in spans {
                scope_spans.bytes(2, span);
            }
            scope_spans.bytes(3, schema.as_bytes());
        });
        resource_spans.bytes(3, schema.as_bytes());
    });
    request.0
}

/// Returns the number of spans that a collector refused, from its `ExportTraceServiceResponse`; 0 for a body that is
/// none.
pub(super) fn rejected_spans(response: &[u8]) -> u64 {
    let partial_success = fields(response).find_map(|(number, value)| match value {
        FieldValue::Bytes(bytes) if number == 1 => Some(bytes),
        _ => None,
    });
    let rejected = fields(partial_success.unwrap_or_default()).find_map(|(number, value)| match value {
        FieldValue::Number(rejected) if number == 1 => Some(rejected),
        _ => None,
    });
    rejected.unwrap_or_default()
}

/// A protobuf message while it is being encoded.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn number(&mut self, field: u32, value: u64) {
        self.tag(field, 0);
        self.varint(value);
    }

    fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    /// A text, bytes, or an encoded message.
    fn bytes(&mut self, field: u32, value: &[u8]) {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn message(&mut self, field: u32, encode: impl FnOnce(&mut Self)) {
        let mut message = Self::default();
        encode(&mut message);
        self.bytes(field, &message.0);
    }

    /// A `KeyValue`.
    fn attribute(&mut self, field: u32, name: &str, value: &AttributeValue) {
        self.message(field, |pair| {
            pair.bytes(1, name.as_bytes());
            pair.message(2, |any| any.value(value));
        });
    }

    /// The field of an `AnyValue`.
    fn value(&mut self, value: &AttributeValue) {
        match value {
            AttributeValue::Static(text) => self.bytes(1, text.as_bytes()),
            AttributeValue::Text(text) => self.bytes(1, text.as_bytes()),
            AttributeValue::Bool(value) => self.number(2, u64::from(*value)),
            // An int64 is encoded as the unsigned number of its two's complement.
            AttributeValue::Integer(value) => self.number(3, value.cast_unsigned()),
            AttributeValue::Double(value) => self.fixed64(4, value.to_bits()),
            AttributeValue::Texts(texts) => self.message(5, |array| {
                for text in texts {
                    array.message(1, |any| any.bytes(1, text.as_bytes()));
                }
            }),
        }
    }
}

/// The value of a field of a received message.
enum FieldValue<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The fields of a received message, up to the first that is malformed or of a fixed width.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, FieldValue<'_>)> {
    std::iter::from_fn(move || {
        let tag = read_varint(&mut message)?;
        let value = match tag & 7 {
            0 => FieldValue::Number(read_varint(&mut message)?),
            2 => {
                let length = usize::try_from(read_varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                message = rest;
                FieldValue::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    })
}

fn read_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_encoded_as_varints() {
        for (number, bytes) in [(0, vec![0x08, 0]), (127, vec![0x08, 0x7f]), (300, vec![0x08, 0xac, 0x02])] {
            let mut message = Message::default();
            message.number(1, number);
            assert_eq!(message.0, bytes);
            assert!(matches!(fields(&bytes).next(), Some((1, FieldValue::Number(read))) if read == number));
        }
        let mut message = Message::default();
        message.value(&AttributeValue::Integer(-1));
        assert_eq!(message.0, [&[0x18][..], &[0xff; 9], &[1]].concat());
    }

    #[test]
    fn the_refused_spans_of_a_response_are_counted() {
        let mut response = Message::default();
        response.message(1, |partial| {
            partial.bytes(2, b"too old");
            partial.number(1, 5);
        });
        assert_eq!(rejected_spans(&response.0), 5);
        for harmless in [&b""[..], b"\x0a\x00", b"{}", b"\x0a\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(rejected_spans(harmless), 0, "{harmless:?}");
        }
    }
}
