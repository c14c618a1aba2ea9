"""`waybill doctor` asks the indexes and mirrors that builds install from."""
import platform
import socket
import time

import pytest

from environments import Index, index  # noqa: F401
from test_build_failures import certificate  # noqa: F401
from test_build_ways import LOGIN, upstream  # noqa: F401


@pytest.fixture
def mirror():
    running = Index(answer=200)
    yield running
    running.stop()


@pytest.fixture
def checks(waybill, mirror):
    """checks(**settings in the environment): the doctor's rows by their id."""
    def ask(language="en", **settings):
        env = {"WAYBILL_BUILD_APT_MIRROR": f"http://127.0.0.1:{mirror.port}/debian"}
        done = waybill.run("doctor", "--json", "--lang", language, env=env | settings)
        assert "hunter2secret" not in done.stdout + done.stderr
        return {row["id"]: row for row in done.events}
    return ask


def assert_warns(row, words, mend):
    assert row["status"] == "warn" and words in row["found"], row
    assert mend in row["mend"], row


def test_what_answers_is_well(checks, index, mirror):
    found = checks(**index.env)
    assert found["pip-index"]["status"] == found["apt-mirror"]["status"] == "ok", found
    assert found["pip-index"]["found"] == f"answers: {index.url}"
    assert index.asked == ["/simple/pip/", "/simple/"], "an index need not have pip"
    assert mirror.asked == ["/debian/dists/"]
    assert checks("zh", **index.env)["pip-index"]["found"] == f"有应答:{index.url}"


def test_a_mirror_need_not_list_its_releases(checks, mirror):
    there = f"/debian/dists/{platform.freedesktop_os_release()['VERSION_CODENAME']}/InRelease"
    mirror.answer = None
    mirror.page = lambda path: (200 if path == there else 404, "text/plain", b"x")
    assert checks()["apt-mirror"]["status"] == "ok"
    assert mirror.asked == ["/debian/dists/", there]
    mirror.page = lambda path: (404, "text/plain", b"x")
    assert_warns(checks()["apt-mirror"], "/debian: HTTP 404", "http://deb.debian.org/debian")


def test_nothing_is_asked_that_no_build_would_ask(checks, index, mirror):
    found = checks(**index.env | {"WAYBILL_BUILD_NETWORK": "none"})
    assert not {"pip-index", "apt-mirror"} & set(found)
    assert not index.asked and not mirror.asked


def test_an_index_at_another_path(checks, index):
    wrong = index.env | {"WAYBILL_BUILD_PIP_INDEX_URL": index.url.replace("/simple", "/simpel")}
    assert_warns(checks(**wrong)["pip-index"], "/simpel: HTTP 404", "https://pypi.org/simple")
    assert_warns(checks("zh", **wrong)["pip-index"], "HTTP 404", "检查地址")


def test_one_of_several(checks, index):
    away = Index()
    away.stop()
    row = checks(**index.env | {"WAYBILL_BUILD_PIP_EXTRA_INDEX_URL": away.url})["pip-index"]
    assert_warns(row, f"{away.url}: ", "build.http_proxy")
    assert index.url not in row["found"]


def test_a_certificate_that_is_not_trusted(checks, certificate):
    index = Index(certificate=certificate)
    assert_warns(checks(**index.env)["pip-index"], "certificate", "build.ca_file")
    for trust in ({"WAYBILL_BUILD_CA_FILE": str(certificate[0])},
                  {"WAYBILL_BUILD_PIP_TRUSTED_HOST": "127.0.0.1"},
                  {"WAYBILL_BUILD_PIP_TRUSTED_HOST": f"127.0.0.1:{index.port}"}):
        assert checks(**index.env | trust)["pip-index"]["status"] == "ok", trust
    other = {"WAYBILL_BUILD_PIP_TRUSTED_HOST": f"127.0.0.1:{index.port - 1}"}
    assert checks(**index.env | other)["pip-index"]["status"] == "warn"
    index.stop()


def test_a_login_that_is_refused_is_not_shown(checks):
    index = Index(answer=401)
    env = index.env | {"WAYBILL_BUILD_PIP_INDEX_URL":
                       index.url.replace("//", "//robot:hunter2secret@")}
    assert_warns(checks(**env)["pip-index"], "HTTP 401", "USER:PASSWORD@HOST")
    index.stop()


def test_an_index_that_says_nothing_holds_nobody_up(checks, index):
    index.hold("pip")
    began = time.monotonic()
    assert_warns(checks(**index.env)["pip-index"], "timed out", "build.http_proxy")
    assert time.monotonic() - began < 20


def test_it_is_asked_over_the_proxies(checks, index, upstream, mirror):
    """The proxy alone knows the index's name."""
    env = {"WAYBILL_BUILD_PIP_INDEX_URL": f"http://index.invalid:{index.port}/simple",
           "WAYBILL_BUILD_HTTP_PROXY": f"http://robot:hunter2secret@{upstream.address}",
           "WAYBILL_BUILD_NO_PROXY": "127.0.0.1"}
    index.add(("pip-1.0-py3-none-any.whl", b""))
    assert checks(**env)["pip-index"]["status"] == "ok"
    assert upstream.asked == [("GET", f"http://index.invalid:{index.port}/simple/pip/", LOGIN)]
    assert mirror.asked, "without the proxy"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    env["WAYBILL_BUILD_HTTP_PROXY"] = f"http://robot:hunter2secret@127.0.0.1:{nobody}"
    assert_warns(checks(**env)["pip-index"], "http://index.invalid", "build.http_proxy")
