"""Logins of registries: WAYBILL_MODEL_USER and _PASSWORD, or a file (containers-auth.json, which is
the `auths` of Docker's config.json)."""
import base64
import json
from dataclasses import dataclass, field

from waybill_service.fetch.failure import Refused

FILE_LIMIT = 1 << 20


@dataclass(frozen=True)
class Login:
    user: str  # "": the secret is an identity token
    secret: str = field(repr=False)

    def basic(self):
        return "Basic " + base64.b64encode(("%s:%s" % (self.user, self.secret)).encode()).decode()


def _read_auths(path):
    try:
        with open(path, "rb") as file:
            root = json.loads(file.read(FILE_LIMIT))
    except OSError as error:
        raise Refused("WAYBILL_MODEL_AUTH_FILE: %s could not be read: %s"
                      % (path, error.strerror)) from None
    except (ValueError, RecursionError):
        raise Refused("WAYBILL_MODEL_AUTH_FILE: %s is no JSON" % path) from None
    auths = root.get("auths") if isinstance(root, dict) else None
    return auths if isinstance(auths, dict) else {}


def _host_of_key(key):
    """Docker's own files name a registry by a URL, too: https://HOST/v1/"""
    without = key.partition("://")[2] or key
    return without.partition("/")[0] if "://" in key else without


def _find_entry(auths, host, repository):
    """The longest of HOST/NAMESPACE/NAME, HOST/NAMESPACE, HOST."""
    place = "%s/%s" % (host, repository)
    while place:
        if place in auths:
            return auths[place]
        place = place.rpartition("/")[0]
    return next((entry for key, entry in auths.items()
                 if _host_of_key(key).lower() == host.lower()), None)


def _login_of_entry(entry):
    if not isinstance(entry, dict):
        return None
    if isinstance(entry.get("identitytoken"), str) and entry["identitytoken"]:
        return Login("", entry["identitytoken"])
    if not entry.get("auth"):  # as Kubernetes takes it, too
        user, secret = entry.get("username"), entry.get("password")
        said = user and isinstance(user, str) and isinstance(secret, str)
        return Login(user, secret) if said else None
    try:
        user, colon, secret = base64.b64decode(entry["auth"]).decode().partition(":")
    except (ValueError, TypeError):
        return None
    return Login(user, secret) if colon and user else None


def find_login(settings, host, repository):
    """None: there is none. What the file says of this very registry comes first."""
    if settings.auth_file:
        login = _login_of_entry(_find_entry(_read_auths(settings.auth_file), host, repository))
        if login:
            return login
    return Login(settings.user, settings.password) if settings.user else None
