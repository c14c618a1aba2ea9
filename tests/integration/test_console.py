"""The console as the server hands it out. What it does in a browser: console/tests."""
import gzip
import re


def test_the_console_is_one_page_that_asks_nobody_else(server):
    page = server.ask("GET", "/")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert page.headers["x-waybill-version"]
    names = re.findall(rb'(?:src|href)="([^"]+)"', page.body)
    assert names and not any(name.startswith((b"http", b"//")) for name in names)
    for name in names:
        plain = server.ask("GET", f"/{name.decode()}")
        packed = server.ask("GET", f"/{name.decode()}", headers={"Accept-Encoding": "br, gzip"})
        assert plain.status == 200 and "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        again = server.ask("GET", f"/{name.decode()}", headers={"If-None-Match": plain.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
