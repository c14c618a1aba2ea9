"""Signs requests with an AK/SK pair (SDK-HMAC-SHA256), written from the specification alone."""
import hashlib
import hmac
import time
from urllib.parse import quote, unquote, unquote_plus

SCHEME = "SDK-HMAC-SHA256"


def encode(text):
    return quote(text, safe="-._~")


def canonical_path(path):
    encoded = "/".join(encode(unquote(segment)) for segment in path.split("/"))
    return encoded if encoded.endswith("/") else encoded + "/"


def canonical_query(query):
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    decoded = sorted((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs)
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in decoded)


def canonical_request(method, target, headers, names, payload):
    """headers: (name, value) pairs as they are sent."""
    path, _, query = target.partition("?")
    lines = []
    for name in names:
        values = sorted(value for key, value in headers if key.lower() == name)
        lines += [f"{name}:{value.strip()}\n" for value in values]
    return "\n".join([method.upper(), canonical_path(path), canonical_query(query),
                      "".join(lines), ";".join(names), payload])


def date_of(seconds=None):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def signature(secret, date, canonical):
    text = "\n".join([SCHEME, date, hashlib.sha256(canonical.encode()).hexdigest()])
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def signed(access, secret, method, target, host, body=b"", date=None, payload=None, extra=(),
           names=None):
    """The headers of a signed request, Host left out. payload: what X-Sdk-Content-Sha256 is to say;
    without it the header is not sent. names: the headers that are signed, all of them without."""
    date = date or date_of()
    headers = [("Host", host), ("X-Sdk-Date", date), *extra]
    if payload is not None:
        headers.append(("X-Sdk-Content-Sha256", payload))
    if names is None:
        names = sorted({name.lower() for name, _ in headers})
    hashed = hashlib.sha256(body).hexdigest() if payload is None else payload
    value = signature(secret, date, canonical_request(method, target, headers, names, hashed))
    return dict(headers[1:]) | {"Authorization": f"{SCHEME} Access={access}, "
                                f"SignedHeaders={';'.join(names)}, Signature={value}"}
