"""The door before the stand-in: checks requests as AWS does (Signature Version 4) and refuses them in S3's words.

moto accepts every request. Behind this check, a presigned URL works for its method, key, headers and time only, and
nobody without the stack's key can list or read the bucket.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

import hashlib
import hmac
import io
import time
from calendar import timegm
from functools import lru_cache
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_EXPIRES_S = 7 * 24 * 3600
MAX_SKEW_S = 15 * 60
UNSIGNED = "UNSIGNED-PAYLOAD"


class Refused(Exception):
    """A request that AWS would refuse: status, code, message, and further elements of the answer."""

    def __init__(self, code, message, status="403 Forbidden", **details):
        super().__init__(code)
        self.code, self.message, self.status, self.details = code, message, status, details


def denied(message="Access Denied", **details):
    return Refused("AccessDenied", message, **details)


def malformed(message):
    return Refused("AuthorizationQueryParametersError", message, "400 Bad Request")


def mismatch():
    return Refused(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method.",
    )


def headers_of(environ):
    """The request's headers by their names in lower case, with runs of spaces as one."""
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in "CONTENT_LENGTH", "CONTENT_TYPE":
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return {name: " ".join(value.split()) for name, value in headers.items()}


def parameters_of(environ):
    """The query's parameters, decoded, in their order."""
    pairs = [part.partition("=") for part in environ.get("QUERY_STRING", "").split("&") if part]
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def encoded(text):
    return quote(text, safe="-_.~")


def time_of(stamp):
    try:
        return timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise denied("AWS authentication requires a valid Date or x-amz-date header") from None


@lru_cache(maxsize=64)
def signing_key(secret, date, region, service):
    key = ("AWS4" + secret).encode()
    for part in date, region, service, "aws4_request":
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def signature(secret, stamp, scope, canonical_request):
    date, region, service = scope.split("/")[:3]
    digest = hashlib.sha256(canonical_request.encode()).hexdigest()
    to_sign = "\n".join([ALGORITHM, stamp, scope, digest])
    return hmac.new(signing_key(secret, date, region, service), to_sign.encode(), hashlib.sha256).hexdigest()


def canonical(method, path, parameters, headers, signed, payload):
    query = "&".join(sorted(f"{encoded(name)}={encoded(value)}" for name, value in parameters))
    lines = "".join(f"{name}:{headers.get(name, '')}\n" for name in signed)
    return "\n".join([method, path, query, lines, ";".join(signed), payload])


class SignatureCheck:
    """A WSGI application that passes on what is signed with one of `keys`: secrets by access key."""

    def __init__(self, app, keys, clock=time.time):
        self.app, self.keys, self.clock = app, keys, clock

    def __call__(self, environ, start_response):
        # The path as it was sent: decoded once, %2F could not be told from a slash.
        path = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "/")
        try:
            self.check(environ, path.partition("?")[0] or "/")
        except Refused as refused:
            # What is left of the body is read, so that the client reads the answer instead of a broken connection.
            drain(environ)
            return answer(refused, environ, start_response)
        return self.app(environ, start_response)

    def check(self, environ, path):
        headers, parameters = headers_of(environ), parameters_of(environ)
        named = dict(parameters)
        if "X-Amz-Signature" in named or "X-Amz-Algorithm" in named:
            self.check_presigned(environ["REQUEST_METHOD"], path, headers, parameters, named)
        elif headers.get("authorization", "").startswith(ALGORITHM + " "):
            self.check_header(environ, path, headers, parameters)
        else:
            raise denied()
        if environ["REQUEST_METHOD"] in ("PUT", "POST") and not environ.get("CONTENT_LENGTH"):
            raise Refused("MissingContentLength", "You must provide the Content-Length HTTP header.",
                          "411 Length Required")

    def secret(self, credential):
        key, _, scope = credential.partition("/")
        if key not in self.keys:
            raise Refused("InvalidAccessKeyId",
                          "The AWS Access Key Id you provided does not exist in our records.", AWSAccessKeyId=key)
        if len(scope.split("/")) != 4 or not scope.endswith("/aws4_request"):
            raise malformed("Error parsing the X-Amz-Credential parameter")
        return self.keys[key], scope

    def check_presigned(self, method, path, headers, parameters, named):
        for name in "Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature":
            if "X-Amz-" + name not in named:
                raise malformed("Query-string authentication version 4 requires the X-Amz-Algorithm, "
                                "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
                                "X-Amz-Expires parameters.")
        if named["X-Amz-Algorithm"] != ALGORITHM:
            raise malformed(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
        secret, scope = self.secret(named["X-Amz-Credential"])
        stamp, expires = named["X-Amz-Date"], named["X-Amz-Expires"]
        if not expires.isdigit() or not 0 < int(expires) <= MAX_EXPIRES_S:
            raise malformed("X-Amz-Expires must be less than a week (in seconds)")
        signed_at, now = time_of(stamp), self.clock()
        if signed_at > now + MAX_SKEW_S:
            raise denied("Request is not valid yet")
        if now > signed_at + int(expires):
            shown = lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
            raise denied("Request has expired", **{"X-Amz-Expires": expires, "Expires": shown(signed_at + int(expires)),
                                                  "ServerTime": shown(now)})
        others = [pair for pair in parameters if pair[0] != "X-Amz-Signature"]
        signed = named["X-Amz-SignedHeaders"].split(";")
        require_signed(headers, signed)
        expected = signature(secret, stamp, scope, canonical(method, path, others, headers, signed, UNSIGNED))
        if not hmac.compare_digest(expected, named["X-Amz-Signature"]):
            raise mismatch()

    def check_header(self, environ, path, headers, parameters):
        fields = dict(field.strip().partition("=")[::2] for field in
                      headers["authorization"][len(ALGORITHM) + 1:].split(","))
        if not {"Credential", "SignedHeaders", "Signature"} <= fields.keys():
            raise Refused("AuthorizationHeaderMalformed", "The authorization header is malformed.", "400 Bad Request")
        secret, scope = self.secret(fields["Credential"])
        stamp = headers.get("x-amz-date", "")
        if abs(time_of(stamp) - self.clock()) > MAX_SKEW_S:
            raise Refused("RequestTimeTooSkewed",
                          "The difference between the request time and the current time is too large.")
        payload = headers.get("x-amz-content-sha256")
        if payload is None or len(payload) == 64:
            actual = hashlib.sha256(body_of(environ)).hexdigest()
            if payload not in (None, actual):
                raise Refused("XAmzContentSHA256Mismatch",
                              "The provided 'x-amz-content-sha256' header does not match what was computed.",
                              "400 Bad Request")
            payload = actual
        signed = fields["SignedHeaders"].split(";")
        require_signed(headers, signed)
        request = canonical(environ["REQUEST_METHOD"], path, parameters, headers, signed, payload)
        if not hmac.compare_digest(signature(secret, stamp, scope, request), fields["Signature"]):
            raise mismatch()


def require_signed(headers, signed):
    if "host" not in signed:
        raise malformed("Signature must include the host header")
    missing = [name for name in headers if name.startswith("x-amz-") and name not in signed]
    if missing:
        raise denied("There were headers present in the request which were not signed", HeadersNotSigned=", ".join(missing))


def body_of(environ):
    """Reads the body and puts it back for the application."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def drain(environ):
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0:
        part = environ["wsgi.input"].read(min(left, 65536))
        if not part:
            return
        left -= len(part)


def answer(refused, environ, start_response):
    elements = {"Code": refused.code, "Message": refused.message, **refused.details}
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in elements.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}<RequestId>LOCAL</RequestId></Error>'.encode()
    start_response(refused.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def check_against_published_examples():
    """Examples of AWS's documentation: a presigned GET, and a GET with the headers signed."""
    keys = {"AKIAIOSFODNN7EXAMPLE": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
    now = timegm((2013, 5, 24, 0, 0, 1))
    check = SignatureCheck(None, keys, clock=lambda: now)
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
        "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    base = {"REQUEST_METHOD": "GET", "HTTP_HOST": "examplebucket.s3.amazonaws.com", "wsgi.input": io.BytesIO()}
    check.check({**base, "QUERY_STRING": query}, "/test.txt")
    empty = hashlib.sha256(b"").hexdigest()
    check.check({
        **base,
        "HTTP_RANGE": "bytes=0-9",
        "HTTP_X_AMZ_CONTENT_SHA256": empty,
        "HTTP_X_AMZ_DATE": "20130524T000000Z",
        "HTTP_AUTHORIZATION": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature="
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    }, "/test.txt")
    for changed in {"QUERY_STRING": query.replace("86400", "86401")}, {"QUERY_STRING": query, "REQUEST_METHOD": "PUT"}:
        try:
            check.check({**base, **changed}, "/test.txt")
        except Refused as refused:
            assert refused.code == "SignatureDoesNotMatch", refused.code
        else:
            raise AssertionError("a changed request was accepted")


if __name__ == "__main__":
    check_against_published_examples()
    print("as published")
