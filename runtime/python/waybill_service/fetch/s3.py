"""A bucket of an S3 service: the files are objects, PREFIX/PATH."""
import ipaddress
import re
import time
from urllib.parse import quote, urlsplit

from waybill_service.answers import readable
from waybill_service.fetch.failure import Refused
from waybill_service.fetch.ranged import range_header, stream_of
from waybill_service.fetch.s3_sign import Credentials, sign
from waybill_service.fetch.web import host_text, origin_of

_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,80})</Code>")
KEYS_HINT = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def _is_address(host):
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def base_of(endpoint, bucket):
    """(http[s]://HOST[:PORT], the path before a key). A name of the bucket's own needs a host that
    is a name, and a certificate that covers it."""
    parts = urlsplit(endpoint)
    netloc = host_text(origin_of(endpoint))
    if _is_address(parts.hostname) or "." not in parts.hostname or "." in bucket:
        return "%s://%s" % (parts.scheme, netloc), "/%s/" % bucket
    return "%s://%s.%s" % (parts.scheme, bucket, netloc), "/"


class S3Source:
    def __init__(self, endpoint, bucket, prefix, credentials, region):
        self.base, path = base_of(endpoint, bucket)
        self.path = path + (quote(prefix, safe="/-_.~") + "/" if prefix else "")
        self.host = host_text(origin_of(self.base))
        self.name = "s3://%s at %s" % (bucket, host_text(origin_of(endpoint)))
        self.credentials, self.region = credentials, region

    def open(self, client, file, begin, end):
        path = self.path + quote(file.path, safe="/-_.~")
        headers = {"host": self.host, **range_header(file, begin, end)}
        if self.credentials:
            headers = sign("GET", path, "", headers, self.credentials, self.region, time.time())
        # A redirect is not followed: it would take the signature elsewhere.
        reply = client.ask(self.base + path, headers)
        try:
            return stream_of(reply, file, begin, end, self)
        except BaseException:
            reply.finish()
            raise

    def refusal(self, reply, file):
        found = _CODE.search(reply.body(64 << 10))
        code = " %s" % found[1].decode() if found else ""
        status = "%d%s" % (reply.status, code)
        if reply.status == 404:
            return Refused("%s has no object %s%s (%s)" % (
                self.name, self.path.lstrip("/"), file.path, status), whole="NoSuchBucket" in code)
        if reply.status in (401, 403):
            do = "check %s and the bucket's policy" if self.credentials else "set %s"
            return Refused("%s denies %s (%s): %s"
                           % (self.name, file.path, status, do % KEYS_HINT))
        if 300 <= reply.status < 400 or "AuthorizationHeaderMalformed" in code:
            region = readable(reply.header("x-amz-bucket-region"))[:40]
            return Refused("%s is elsewhere (%s): set AWS_REGION%s or AWS_ENDPOINT_URL" % (
                self.name, status, " to " + region if region else ""), whole=True)
        return Refused("%s answered %s to %s" % (self.name, status, file.path))


def credentials_of(settings):
    """None: requests are not signed."""
    if not (settings.access_key and settings.secret_key):
        return None
    return Credentials(settings.access_key, settings.secret_key, settings.session_token)
