//! The identity of a span, and its forms in headers: W3C Trace Context, <https://www.w3.org/TR/trace-context/>, and the
//! trace header of AWS X-Ray, <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.

use http::HeaderMap;

/// Name of the HTTP header, and of the message attribute, that carries the trace.
pub const TRACEPARENT: &str = "traceparent";
/// Name of X-Ray's header.
const XRAY: &str = "x-amzn-trace-id";

/// Identity of a trace.
pub(super) type TraceId = [u8; 16];
/// Identity of a span within its trace.
pub(super) type SpanId = [u8; 8];

/// A span, as other processes name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpanContext {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    /// True when the trace is recorded.
    pub(super) is_sampled: bool,
}

impl SpanContext {
    /// The value of the header `traceparent`.
    pub(super) fn traceparent(&self) -> String {
        let (trace, span) = (hex::encode(self.trace_id), hex::encode(self.span_id));
        format!("00-{trace}-{span}-{:02x}", u8::from(self.is_sampled))
    }
}

/// The trace that a request or a queue message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteParent {
    pub(super) trace_id: TraceId,
    /// `None` when no back end of traces knows the span.
    pub(super) span_id: Option<SpanId>,
    /// The caller's decision to record the trace; `None` leaves it to this function.
    pub(super) is_sampled: Option<bool>,
}

impl RemoteParent {
    /// Parses a `traceparent`. A later version than 00 may have more fields, which are ignored.
    #[must_use]
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let mut fields = text.trim().split('-');
        let version: [u8; 1] = parse_hex(fields.next()?)?;
        let (trace_id, span_id) = (parse_hex(fields.next()?)?, parse_hex(fields.next()?)?);
        let flags: [u8; 1] = parse_hex(fields.next()?)?;
        let is_valid = match version[0] {
            0 => fields.next().is_none(),
            // Version ff is forbidden.
            version => version != u8::MAX,
        };
        let is_zero = trace_id == TraceId::default() || span_id == SpanId::default();
        (is_valid && !is_zero).then_some(Self { trace_id, span_id: Some(span_id), is_sampled: Some(flags[0] & 1 == 1) })
    }

    /// Parses the header of X-Ray. Its decision is about X-Ray's own segments: API Gateway and Lambda send `Sampled=0`
    /// where X-Ray is off. Such a parent is not recorded anywhere, so only the trace's identity is kept.
    #[must_use]
    pub fn from_xray(text: &str) -> Option<Self> {
        let field = |name: &str| text.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        let mut root = field("Root")?.split('-');
        let trace_id = match (root.next(), root.next(), root.next(), root.next()) {
            (Some("1"), Some(seconds), Some(random), None) if seconds.len() == 8 => {
                parse_hex(&format!("{seconds}{random}"))?
            }
            _ => return None,
        };
        let span_id = field("Parent").filter(|_| field("Sampled") == Some("1")).and_then(parse_hex);
        (trace_id != TraceId::default()).then_some(Self { trace_id, span_id, is_sampled: None })
    }
}

/// Returns the trace that a request belongs to: its `traceparent`, or else the header of AWS X-Ray, which API Gateway
/// and Lambda's runtime add.
#[must_use]
pub fn parent_of_request(headers: &HeaderMap) -> Option<RemoteParent> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let parent = text(TRACEPARENT).and_then(RemoteParent::from_traceparent);
    parent.or_else(|| text(XRAY).and_then(RemoteParent::from_xray))
}

/// Parses lower-case hexadecimal digits of exactly `N` bytes.
fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_lower = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let mut bytes = [0; N];
    (is_lower && text.len() == 2 * N).then_some(())?;
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let text = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let parent = RemoteParent::from_traceparent(&text).unwrap();
        assert_eq!(parent.is_sampled, Some(true));
        let context = SpanContext { trace_id: parent.trace_id, span_id: parent.span_id.unwrap(), is_sampled: true };
        assert_eq!(context.traceparent(), text);
        let unsampled = RemoteParent::from_traceparent(&format!("00-{TRACE}-00f067aa0ba902b7-02")).unwrap();
        assert_eq!(unsampled.is_sampled, Some(false));
        assert!(RemoteParent::from_traceparent(&format!("cc-{TRACE}-00f067aa0ba902b7-01-more")).is_some());
    }

    #[test]
    fn a_malformed_traceparent_is_no_parent() {
        for text in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}0-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-+0f067aa0ba902b7-01"),
            "00-é-é-01".to_owned(),
        ] {
            assert_eq!(RemoteParent::from_traceparent(&text), None, "{text}");
        }
    }

    #[test]
    fn the_header_of_xray_yields_its_trace_and_a_sampled_parent() {
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
        let trace_id = parse_hex("5759e988bd862e3fe1be46a994272793").unwrap();
        let expected = |span_id| Some(RemoteParent { trace_id, span_id, is_sampled: None });
        let span_id = parse_hex("53995c3f42cd8ad8");
        assert_eq!(RemoteParent::from_xray(&format!("{root};Parent=53995c3f42cd8ad8;Sampled=1")), expected(span_id));
        assert_eq!(RemoteParent::from_xray(&format!("{root};Parent=53995c3f42cd8ad8;Sampled=0")), expected(None));
        assert_eq!(RemoteParent::from_xray(&format!("Self=1-2; {root}")), expected(None));
        for text in [
            "",
            "Root=",
            "Root=1-5759e988",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e98-8bd862e3fe1be46a994272793",
        ] {
            assert_eq!(RemoteParent::from_xray(text), None, "{text}");
        }
    }
}
