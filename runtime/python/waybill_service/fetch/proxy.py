"""The proxies of the environment: http_proxy, https_proxy, all_proxy, no_proxy."""
import base64
import http.client
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment

from waybill_service.fetch.failure import Refused


@dataclass(frozen=True)
class Proxy:
    host: str
    port: int
    headers: dict = field(repr=False)  # the login


def _login(parts):
    if parts.username is None:
        return {}
    login = "%s:%s" % (unquote(parts.username), unquote(parts.password or ""))
    return {"Proxy-Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def proxy_of(origin):
    """None: the host is asked itself."""
    scheme, host, port = origin
    proxies = getproxies_environment()
    address = proxies.get(scheme) or proxies.get("all")
    if not address or proxy_bypass_environment("%s:%d" % (host, port), proxies):
        return None
    try:
        parts = urlsplit(address if "://" in address else "http://" + address)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError
        return Proxy(parts.hostname, parts.port or 80, _login(parts))
    except ValueError:  # UnicodeEncodeError is one, and has the login in it
        raise Refused("%s_proxy is no http://[USER:PASSWORD@]HOST:PORT in UTF-8"
                      % scheme) from None


def make_connection(origin, context, seconds):
    """An HTTPConnection to the host, or by way of its proxy; and that proxy where it is to be asked
    by whole URLs."""
    scheme, host, port = origin
    proxy = proxy_of(origin)
    at = (proxy.host, proxy.port) if proxy else (host, port)
    if scheme == "http":
        return http.client.HTTPConnection(*at, timeout=seconds), proxy
    connection = http.client.HTTPSConnection(*at, timeout=seconds, context=context)
    if proxy:
        connection.set_tunnel(host, port, proxy.headers)
    return connection, None
