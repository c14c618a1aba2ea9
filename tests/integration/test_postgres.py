"""store.url=postgresql://…: one data directory whose store is a PostgreSQL server's."""
import json
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import PROGRAM, Waybill, wait_for
from postgres import database, postgres, postgres_server  # noqa: F401
from serving import Server

UNIT = Path(PROGRAM).parent / "tests/unit"


@pytest.fixture
def served(tmp_path, database, base_layout):  # noqa: F811
    """Waybill on a store of PostgreSQL, with the runtime `base`."""
    waybill = Waybill(tmp_path / "data")
    waybill.environment["WAYBILL_STORE_URL"] = database
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    return waybill


@pytest.mark.parametrize("program", ["store", "jobs", "postgres_pool", "keys", "unscheduled", "gc_schedule"])
def test_the_store_s_own_tests_hold_on_it(database, program):  # noqa: F811
    done = subprocess.run([UNIT / f"test-{program}"], env=os.environ | {"WAYBILL_TEST_STORE": database},
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_import_its_retry_and_its_end(served, package, postgres_server, database):  # noqa: F811
    broken = package({"model/config.json": "{"})
    failed = served.run("import", broken, "--name", "m", "--json")
    assert failed.returncode == 1 and failed.reasons[-1] == "ImportFailed"
    (broken / "model/config.json").write_text(json.dumps({"model_type": "Custom", "model_algorithm": "a"}))
    retried = served.run("retry", "m", "--json", check=True)
    assert retried.reasons[-1] == "ModelImported"
    [model] = served.run("models", "--json", check=True).events
    assert model["model_status"] == "published"
    assert postgres_server.of(database, "SELECT count(*), max(seq) FROM events") == [
        f"{retried.events[-1]['seq']}|{retried.events[-1]['seq']}"]
    assert not (served.data / "waybill.db").exists()
    served.run("delete", "m", check=True)
    served.run("gc", check=True)
    served.run("verify", check=True)
    assert "PostgreSQL" in served.run("backup", served.data.parent / "backup").stderr


def test_many_at_once_get_dense_timelines(served, package, tmp_path):
    server = Server(served, tmp_path)
    try:
        ids = [server.create(package({"model/x.bin": f"{number}" * 1000}, name=f"p{number}"), f"m{number}").json["model_id"]
               for number in range(12)]
        for model in ids:
            assert server.settled(model)["model_status"] == "published"
            events = server.get(f"/models/{model}/events?limit=100").json["events"]
            assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    finally:
        assert server.stop() == 0


def test_killed_in_the_middle_it_goes_on_when_its_lease_has_run_out(served, package):
    served.environment["WAYBILL_STORE_LEASE_SECONDS"] = "2"
    folder = package({f"model/{number}.bin": os.urandom(3 << 20) for number in range(20)})
    process = served.start("import", folder, "--name", "m")
    wait_for(lambda: any((served.data / "images/blobs/sha256").glob("*")) and
             "ModelSizeCalculated" in served.run("events", "m", "--json").stdout)
    process.send_signal(signal.SIGKILL)
    process.wait()
    at_once = served.run("retry", "m", "--json")
    assert at_once.returncode == 2 and "is being imported now" in at_once.stderr
    time.sleep(2)
    retried = served.run("retry", "m", "--json", check=True)
    assert retried.reasons[-1] == "ModelImported" and "ImportResumed" in retried.reasons
    events = served.run("events", "m", "--json", check=True).events
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


def test_a_server_outlives_a_restart_of_its_store(tmp_path, postgres, base_layout, package):  # noqa: F811
    waybill = Waybill(tmp_path / "data")
    waybill.environment["WAYBILL_STORE_URL"] = postgres.create()
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    server = Server(waybill, tmp_path)
    try:
        before = [server.create(package({f"model/{part}.bin": os.urandom(4 << 20) for part in range(8)},
                                        name=f"p{number}"), f"m{number}").json["model_id"]
                  for number in range(3)]
        postgres.stop()
        away = server.ask("GET", "/v1/default/models")  # and nothing is opened meanwhile
        assert away.status == 503 and away.headers["retry-after"] == "1", str(away)
        away = server.ask("GET", "/v2/_catalog")
        assert away.status == 503 and away.json["errors"], str(away)
        time.sleep(1)  # so that what is under way meets it
        postgres.start()
        wait_for(lambda: all(server.ask("GET", "/v1/default/models").status == 200 for _ in range(40)))
        before.append(server.create(package(), "after").json["model_id"])
        for model in before:
            status = server.settled(model, 60)["model_status"]
            events = server.get(f"/models/{model}/events?limit=100").json["events"]
            assert status == "published", json.dumps(events[-2]["evidence"])
            assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
            assert sum(event["reason"] == "ModelImported" for event in events) == 1
    finally:
        assert server.stop() == 0


def test_a_process_has_no_more_connections_than_it_may(served, package, tmp_path, postgres_server, database):  # noqa: F811
    served.environment |= {"WAYBILL_STORE_CONNECTIONS": "2", "WAYBILL_SERVER_WORKERS": "4"}
    count = ("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name "
             "LIKE 'waybill%'")
    server = Server(served, tmp_path)
    try:
        models = [server.create(package({"model/x.bin": f"{number}" * 1000}, name=f"p{number}"), f"m{number}").json["model_id"]
                  for number in range(6)]
        with ThreadPoolExecutor(12) as threads:
            asked = [threads.submit(server.ask, "GET", f"/v1/default/models/{model}/events")
                     for model in models * 20]
            most = 0
            while not all(one.done() for one in asked):
                most = max(most, int(postgres_server.of(database, count)[0]))
        assert all(one.result().status == 200 for one in asked)
        assert all(server.settled(model)["model_status"] == "published" for model in models)
        assert 2 <= most <= 2 + 2  # one listens, one notifies
        assert 'waybill_store_connections{state="busy"}' in server.ask("GET", "/metrics").body.decode()
    finally:
        assert server.stop() == 0


def test_a_follower_sees_what_another_process_records(served, package, tmp_path):
    """It follows before anything is to be seen: the import waits for the end of maintenance."""
    server = Server(served, tmp_path)
    try:
        served.run("maintenance", "on", check=True)
        model = server.create(package(), "m").json["model_id"]
        follower = served.start("events", "m", "--follow", "--json")
        first = json.loads(follower.stdout.readline())
        assert first["reason"] == "SystemUpgrading"
        served.run("maintenance", "off", check=True)
        seen = [first] + [json.loads(line) for line in follower.stdout]
        assert follower.wait(30) == 0
        assert seen[-1]["reason"] == "ModelImported"
        assert seen == server.get(f"/models/{model}/events?limit=100").json["events"]
    finally:
        assert server.stop() == 0


def test_a_second_data_directory_is_refused(served, tmp_path):
    other = Waybill(tmp_path / "other")
    other.data.mkdir()
    other.environment["WAYBILL_STORE_URL"] = served.environment["WAYBILL_STORE_URL"]
    refused = other.run("models")
    assert refused.returncode == 3
    assert str(served.data) in refused.stderr and "store_home" in refused.stderr


# -- what is no store --

@pytest.mark.parametrize("url, words", [
    ("postgresql://u:hidden@127.0.0.1:1/x", ["postgresql://u@127.0.0.1:1/x", "refused"]),
    ("postgresql://127.0.0.1:99999/x", ["port"]),
    ("postgresql://u:hidden@[::1]x/y", ["none that PostgreSQL takes"]),
    ("postgresql://u:hidden@h/x?nothing=1", ["none that PostgreSQL takes"]),
    ("mysql://127.0.0.1/x", ["store.url", "postgresql://"])])
def test_an_address_that_leads_nowhere_is_told(waybill, url, words):
    waybill.environment["WAYBILL_STORE_URL"] = url
    waybill.data.mkdir()
    done = waybill.run("models")
    assert done.returncode in (2, 3)
    assert all(word in done.stderr for word in words) and "hidden" not in done.stderr, done
    doctor = waybill.run("doctor")
    assert "hidden" not in doctor.stdout + doctor.stderr


def test_a_password_is_in_no_report(served, package):
    url = served.environment["WAYBILL_STORE_URL"].replace("postgres@", "postgres:hidden@")
    served.environment["WAYBILL_STORE_URL"] = url
    served.run("import", package(), "--name", "m", check=True)
    report = served.run("report", "m")
    assert "hidden" not in report.stdout + report.stderr


def test_an_order_that_is_not_that_of_bytes_is_refused(waybill, postgres_server):  # noqa: F811
    waybill.data.mkdir()
    locales = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.split()
    other = next((name for name in locales if re.match(r"[a-z]{2}_[A-Z]{2}\.utf-?8$", name, re.I)), None)
    if other:
        waybill.environment["WAYBILL_STORE_URL"] = postgres_server.create(other)
    else:
        name = "other"
        postgres_server.ask("postgres", f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        waybill.environment["WAYBILL_STORE_URL"] = postgres_server.url(name)
    refused = waybill.run("models")
    assert refused.returncode == 3 and "LOCALE 'C'" in refused.stderr, refused


def test_a_retry_whose_upload_is_gone_says_so(served, tmp_path):
    server = Server(served, tmp_path)
    try:
        upload = server.ask("POST", "/v1/default/uploads").json["upload_id"]
        place = f"/v1/default/uploads/{upload}"
        assert server.ask("PUT", place + "/model/config.json", b"{").status in (200, 201)
        model = server.ask("POST", "/v1/default/models", {
            "model_name": "m", "model_version": "0.0.1", "model_type": "Custom",
            "source_location": f"upload://{upload}"}).json["model_id"]
        assert server.settled(model)["model_status"] == "failed"
        assert server.ask("DELETE", place).status in (200, 204)
        retried = server.ask("POST", f"/v1/default/models/{model}/retry", {})
        assert retried.status == 200, str(retried)
        assert server.settled(model)["model_status"] == "failed"
        events = server.get(f"/models/{model}/events?limit=100&attempt=2").json["events"]
        [cause] = [event for event in events if event["seq"] == events[-1]["cause"]]
        assert cause["event_type"] == "abnormal" and cause["summary"], cause
    finally:
        assert server.stop() == 0


def test_a_rebuild_needs_no_upload_any_more(served, tmp_path):
    served.environment["WAYBILL_BUILD_NETWORK"] = "none"  # what is to be installed is nowhere
    server = Server(served, tmp_path)
    try:
        upload = server.ask("POST", "/v1/default/uploads").json["upload_id"]
        place = f"/v1/default/uploads/{upload}"
        config = json.dumps({"model_type": "Custom", "model_algorithm": "a"}).encode()
        for path, body in (("config.json", config), ("weights.bin", b"weights")):
            assert server.ask("PUT", f"{place}/model/{path}", body).status in (200, 201)
        model = server.ask("POST", "/v1/default/models", {
            "model_name": "m", "model_version": "0.0.1", "model_type": "Custom",
            "source_location": f"upload://{upload}"}).json["model_id"]
        assert server.settled(model)["model_status"] == "published"
        assert server.ask("GET", place).status == 404  # it is imported, and gone
        updated = server.ask("PUT", f"/v1/default/models/{model}", {
            "dependencies": [{"installer": "pip", "packages": [{"package_name": "numpy"}]}]})
        assert updated.status == 200, str(updated)
        assert server.settled(model)["model_status"] == "building_failed"
        events = server.get(f"/models/{model}/events?limit=100&attempt=2").json["events"]
        assert events[0]["reason"] == "DependenciesUpdated"
        [cause] = [event for event in events if event["seq"] == events[-1]["cause"]]
        assert cause["stage"] == "environment", cause
    finally:
        assert server.stop() == 0
