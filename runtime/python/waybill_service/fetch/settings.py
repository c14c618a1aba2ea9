"""Where the files of a dynamic model come from, by variables of the container's environment."""
import os
from dataclasses import dataclass, field

from waybill_service.fetch.failure import Refused

CONNECTIONS_MAX = 64


@dataclass
class FetchSettings:
    source: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    auth_file: str = ""
    ca_file: str = ""
    connections: int = 4  # over all files
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    region: str = "us-east-1"
    endpoint: str = ""


VARIABLES = {
    "source": ("WAYBILL_MODEL_SOURCE",), "user": ("WAYBILL_MODEL_USER",),
    "password": ("WAYBILL_MODEL_PASSWORD",), "auth_file": ("WAYBILL_MODEL_AUTH_FILE",),
    "ca_file": ("WAYBILL_MODEL_CA_FILE",), "access_key": ("AWS_ACCESS_KEY_ID",),
    "secret_key": ("AWS_SECRET_ACCESS_KEY",), "session_token": ("AWS_SESSION_TOKEN",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"), "endpoint": ("AWS_ENDPOINT_URL",),
}
IN_HEADERS = ("access_key", "secret_key", "session_token", "region", "endpoint")


def _check(name, variable, text):
    """Here, where the variable is known, and not where a library finds it and shows the value."""
    if name in IN_HEADERS and not (text.isascii() and text.isprintable()):
        raise Refused("%s has characters that are no printable ASCII" % variable)
    if name in ("user", "password"):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Refused("%s is no UTF-8" % variable) from None


def _value(name, variables, environment):
    """The first that is set, or None. A key from a file often has the end of its line with it."""
    for variable in variables:
        text = environment.get(variable, "")
        text = text.strip() if name in IN_HEADERS else text
        if text:
            _check(name, variable, text)
            return text
    return None


def read_fetch_settings(environment=os.environ):
    values = {}
    for name, variables in VARIABLES.items():
        text = _value(name, variables, environment)
        if text is not None:
            values[name] = text
    text = environment.get("WAYBILL_MODEL_CONNECTIONS") or "4"
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= CONNECTIONS_MAX):
        raise Refused("WAYBILL_MODEL_CONNECTIONS is %r, expected a number from 1 to %d"
                      % (text[:40], CONNECTIONS_MAX))
    return FetchSettings(**values, connections=int(text))
