"""WWW-Authenticate (RFC 9110, section 11), and the tokens of registries (distribution-spec's "token
authentication")."""
import json
import re
from urllib.parse import urlencode, urlsplit

from waybill_service.answers import readable
from waybill_service.fetch.failure import Refused

TOKEN_LIMIT = 1 << 20  # bytes of a token service's answer
_WORD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)"
                   r'(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?')


def parse_challenges(header):
    """{scheme: {parameter: value}}, all names in lower case."""
    found, current = {}, {}
    for word, quoted, plain in (match.group(1, 2, 3) for match in _WORD.finditer(header)):
        if quoted is None and plain is None:
            current = found.setdefault(word.lower(), {})
        else:
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            current.setdefault(word.lower(), value)
    return found


def check_realm(realm, registry):
    """A login goes to a token service over TLS, or to the very host that is asked without it."""
    try:
        parts, own = urlsplit(realm), urlsplit(registry)
        sound = parts.hostname and parts.username is None and (
            parts.scheme == "https" or
            parts.scheme == own.scheme == "http" and parts.hostname == own.hostname)
    except ValueError:
        sound = False
    if not sound:
        raise Refused("%s wants a login at %s, expected a token service over https, or of its own "
                      "host" % (own.netloc, readable(realm)[:200]), whole=True)


def _token_of(body):
    try:
        root = json.loads(body)
    except (ValueError, RecursionError):
        return None
    token = (root.get("token") or root.get("access_token")) if isinstance(root, dict) else None
    sound = isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token
    return token if sound and token else None


def _ask(client, bearer, scope, login):
    realm = bearer["realm"]
    fields = {"scope": scope}
    if bearer.get("service"):
        fields["service"] = bearer["service"]
    if login and not login.user:
        form = urlencode({**fields, "grant_type": "refresh_token", "client_id": "waybill",
                          "refresh_token": login.secret})
        return client.ask(realm, {"content-type": "application/x-www-form-urlencoded"}, "POST",
                          form)
    url = realm + ("&" if "?" in realm else "?") + urlencode(fields)
    return client.ask(url, {"authorization": login.basic()} if login else {})


def get_token(client, bearer, scope, login, registry):
    """By GET with a login or nothing, by POST with an identity token."""
    check_realm(bearer["realm"], registry)
    host = urlsplit(registry).netloc
    reply = _ask(client, bearer, scope, login)
    try:
        if reply.status == 429 or reply.status >= 500:
            raise reply.trouble("the request for a token")
        if reply.status != 200:
            raise Refused("the token service of %s answered %d %s" % (
                host, reply.status, "to the login" if login else "without a login"), whole=True)
        token = _token_of(reply.body(TOKEN_LIMIT))
    finally:
        reply.finish()
    if not token:
        raise Refused("the token service of %s answered without a token" % host, whole=True)
    return "Bearer " + token
