//! Spans as the protobuf messages of OTLP, by the types that OpenTelemetry generates from its own definitions.
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;

pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// Version of OpenTelemetry's semantic conventions that names and values of the attributes follow.
pub const SEMANTIC_CONVENTIONS: &str = "1.37.0";

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeValue(Value);

impl From<&str> for AttributeValue {
    fn from(value: &str) -> Self {
        value.to_owned().into()
    }
}

impl From<String> for AttributeValue {
    fn from(value: String) -> Self {
        Self(Value::StringValue(value))
    }
}

impl From<u32> for AttributeValue {
    fn from(value: u32) -> Self {
        Self(Value::IntValue(value.into()))
    }
}

impl From<u16> for AttributeValue {
    fn from(value: u16) -> Self {
        u32::from(value).into()
    }
}

impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self(Value::DoubleValue(value))
    }
}

impl From<Vec<String>> for AttributeValue {
    fn from(values: Vec<String>) -> Self {
        let values = values.into_iter().map(|value| AnyValue { value: Some(Value::StringValue(value)) }).collect();
        Self(Value::ArrayValue(ArrayValue { values }))
    }
}

/// Makes the message of an attribute.
pub(super) fn attribute(name: &str, value: impl Into<AttributeValue>) -> KeyValue {
    let value = AnyValue { value: Some(value.into().0) };
    KeyValue { key: name.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// Makes the request that exports `spans` of one resource.
pub(super) fn export_request(resource: &[KeyValue], spans: Vec<Span>) -> ExportTraceServiceRequest {
    let schema_url = format!("https://opentelemetry.io/schemas/{SEMANTIC_CONVENTIONS}");
    let scope = InstrumentationScope {
        name: "lisa".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: schema_url.clone() }];
    let resource = Some(Resource { attributes: resource.to_vec(), ..Resource::default() });
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url }] }
}

/// Returns the spans of a request.
pub(super) fn into_spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// Returns the number of spans that a collector refused, from its `ExportTraceServiceResponse`; 0 for a body that is
/// none.
pub(super) fn rejected_spans(response: &[u8]) -> i64 {
    let response = ExportTraceServiceResponse::decode(response).unwrap_or_default();
    response.partial_success.unwrap_or_default().rejected_spans
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn a_request_states_its_schema_and_gives_its_spans_back() {
        let spans = vec![Span { name: "a".to_owned(), ..Span::default() }, Span::default()];
        let request = export_request(&[attribute("service.name", "quota")], spans.clone());
        let request = ExportTraceServiceRequest::decode(request.encode_to_vec().as_slice()).unwrap();
        let [resource] = request.resource_spans.as_slice() else { panic!("{request:?}") };
        assert_eq!(resource.schema_url, "https://opentelemetry.io/schemas/1.37.0");
        assert_eq!(resource.resource.as_ref().unwrap().attributes, [attribute("service.name", "quota")]);
        assert_eq!(into_spans(request), spans);
    }

    #[test]
    fn the_refused_spans_of_a_response_are_counted() {
        let partial = ExportTracePartialSuccess { rejected_spans: 5, error_message: "too old".to_owned() };
        let response = ExportTraceServiceResponse { partial_success: Some(partial) };
        assert_eq!(rejected_spans(&response.encode_to_vec()), 5);
        for harmless in [&b""[..], b"\x0a\x00", b"{}", b"\x0a\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(rejected_spans(harmless), 0, "{harmless:?}");
        }
    }
}
