"""WAYBILL_MODEL_SOURCE: where the files come from, in the order in which it is tried."""
import re
from urllib.parse import unquote, urlsplit

from waybill_service.fetch.directory import DirectorySource
from waybill_service.fetch.failure import Refused
from waybill_service.fetch.logins import find_login
from waybill_service.fetch.registry import RegistrySource
from waybill_service.fetch.s3 import S3Source, credentials_of
from waybill_service.fetch.web import host_text, origin_of

EXPECTED = ("a directory, registry://HOST[:PORT][/NAMESPACE], registry+http://… or "
            "s3://BUCKET[/PREFIX]")
_NAMESPACE = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*\Z")
_AT_IN_PATH = re.compile(r"(?:file|s3)://[^@:/?#]*/[^?#]*\Z")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}\Z")


def _split(text, number):
    """The address, which is never shown: it may have a password in it."""
    where = "WAYBILL_MODEL_SOURCE, entry %d" % number
    if "@" in text and not _AT_IN_PATH.match(text):  # a password may end what urlsplit takes for it
        raise Refused("%s: a login in the address is not taken; set WAYBILL_MODEL_USER and "
                      "WAYBILL_MODEL_PASSWORD" % where)
    try:
        parts = urlsplit(text)
        parts.port  # ValueError: it is none
    except ValueError:
        raise Refused("%s: it is no address; expected %s" % (where, EXPECTED)) from None
    if parts.query or parts.fragment:
        raise Refused("%s: an address has no ? and no #; expected %s" % (where, EXPECTED))
    return parts, where


def _directory(path, where):
    if not path.startswith("/") or "\0" in path:
        raise Refused("%s: a directory is absolute: /mnt/model or file:///mnt/model" % where)
    return DirectorySource(path.rstrip("/") or "/")


def _registry(parts, where, repository, settings):
    namespace = parts.path.strip("/")
    if not parts.hostname or namespace and not _NAMESPACE.match(namespace):
        raise Refused("%s: expected registry://HOST[:PORT][/NAMESPACE]" % where)
    base = "%s://%s" % ("http" if parts.scheme == "registry+http" else "https", parts.netloc)
    whole = "%s/%s" % (namespace, repository) if namespace else repository
    login = find_login(settings, parts.netloc, whole)
    return RegistrySource(base, parts.netloc, whole, login)


def _endpoint(settings):
    if not settings.endpoint:
        return "https://s3.%s.amazonaws.com" % settings.region
    try:
        parts = urlsplit(settings.endpoint)
        sound = (parts.scheme in ("http", "https") and parts.hostname
                 and "@" not in settings.endpoint and parts.path in ("", "/")
                 and not parts.query and not parts.fragment)
        place = host_text(origin_of(settings.endpoint)) if sound else None
    except ValueError:
        return None
    return "%s://%s" % (parts.scheme, place) if place else None


def _bucket(parts, where, settings):
    prefix = parts.path.strip("/")
    folders = prefix.split("/") if prefix else []
    if not _BUCKET.match(parts.netloc) or any(part in ("", ".", "..") for part in folders):
        raise Refused("%s: expected s3://BUCKET[/PREFIX]" % where)
    endpoint = _endpoint(settings)
    if not endpoint:
        raise Refused("AWS_ENDPOINT_URL is no http://HOST[:PORT] or https://HOST[:PORT]")
    return S3Source(endpoint, parts.netloc, prefix, credentials_of(settings), settings.region)


def make_sources(settings, repository):
    """Refused: an entry that is none."""
    sources = []
    for number, text in enumerate(settings.source.split(), 1):
        if text.startswith("/"):
            sources.append(DirectorySource(text.rstrip("/") or "/"))
            continue
        parts, where = _split(text, number)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            sources.append(_directory(unquote(parts.path), where))
        elif parts.scheme in ("registry", "registry+http"):
            sources.append(_registry(parts, where, repository, settings))
        elif parts.scheme == "s3":
            sources.append(_bucket(parts, where, settings))
        else:
            raise Refused("%s: expected %s" % (where, EXPECTED))
    return sources
