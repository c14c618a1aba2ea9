"""Signatures of requests to S3: AWS Signature Version 4, in the Authorization header."""
import hashlib
import hmac
import time
from dataclasses import dataclass, field

ALGORITHM = "AWS4-HMAC-SHA256"
NO_PAYLOAD = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


def _mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def sign(method, path, query, headers, credentials, region, now, payload=NO_PAYLOAD):
    """The headers, and those that the signature adds. headers: names in lower case, with host.
    path and query: escaped, the query's pairs sorted. now: seconds since 1970."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    signed = {**headers, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    lines = ["%s:%s" % (name, signed[name].strip()) for name in sorted(signed)]
    canonical = "\n".join([method, path, query, *lines, "", names, payload])
    scope = "%s/%s/s3/aws4_request" % (stamp[:8], region)
    key = ("AWS4" + credentials.secret_key).encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    to_sign = "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signed["authorization"] = "%s Credential=%s/%s,SignedHeaders=%s,Signature=%s" % (
        ALGORITHM, credentials.access_key, scope, names, _mac(key, to_sign).hex())
    return signed
