"""gc by itself: when a server runs it, that one does, what it says of it; and events that grow too old."""
import fcntl
import json
import re
import sqlite3
import time

import pytest

from conftest import Waybill, wait_for
from postgres import database, postgres_server  # noqa: F401
from serving import Server
from wholeness import assert_store, blobs_of, event_names

HOUR, DAY = 3600_000, 86400_000


def store(waybill, sql, *values):
    """Its rows, of an SQLite store that a server may be using."""
    with sqlite3.connect(waybill.data / "waybill.db", timeout=10) as db:
        rows = db.execute(sql, values).fetchall()
    db.close()
    return rows


def run_of(waybill):
    [[outcome, result]] = store(waybill, "SELECT outcome, result FROM gc_runs")
    return outcome, result


def age(waybill, ms):
    """The turn that was noted last was so long ago."""
    store(waybill, "UPDATE gc_runs SET began_at = began_at - ?", ms)


def audited(waybill):
    return [row for row in waybill.run("audit", "--json", check=True).events if row["action"] == "gc"]


def doctor(waybill, *arguments):
    checks = waybill.run("doctor", "--json", *arguments).events
    return next(check for check in checks if check["id"] == "gc")


def noted(waybill):
    wait_for(lambda: store(waybill, "SELECT * FROM gc_runs"))


@pytest.fixture
def due(ready, package, tmp_path):
    """A model was deleted, and a day has passed since a server first looked."""
    ready.run("import", package(), "--name", "m", check=True)
    assert doctor(ready)["found"] == "gc.schedule is daily; none ran yet"
    server = Server(ready, tmp_path)
    noted(ready)
    assert server.stop() == 0
    assert run_of(ready) == ("waits", ""), "not as soon as it starts"
    ready.run("delete", "m", check=True)
    age(ready, DAY)
    return ready


def test_a_server_runs_it_when_its_turn_has_come(due, tmp_path):
    before = len(list(blobs_of(due.data).iterdir()))
    log = tmp_path / "log"
    with open(log, "w") as stderr:
        server = Server(due, tmp_path, stderr=stderr)
        wait_for(lambda: run_of(due)[0] == "done")
        assert server.stop() == 0
    outcome, result = run_of(due)
    assert re.fullmatch(r"removed \d+ blobs: [\d.]+ KiB", result), result
    assert f"waybill: gc by its schedule: {result}" in log.read_text()
    assert result.startswith(f"removed {before - len(list(blobs_of(due.data).iterdir()))} blobs")
    [row] = audited(due)
    assert (row["actor"], row["project"], row["outcome"]) == ("gc.schedule", "*", "done")
    assert row["object"].endswith(f"/{server.process.pid}")
    found = doctor(due)
    assert found["status"] == "ok" and "gc.schedule is daily; last 20" in found["found"], found
    assert result in found["found"] and "; next 20" in found["found"]
    assert "下次" in doctor(due, "--lang", "zh")["found"]
    assert_store(due)


def test_it_is_not_run_before_nor_when_it_is_off(due, tmp_path):
    for setting in ("gc.schedule=weekly", "gc.schedule=off"):
        server = Server(due, tmp_path, "--set", setting)
        time.sleep(1)
        assert server.stop() == 0
        assert run_of(due)[0] == "waits", setting
    assert "gc.schedule is off" in doctor(due, "--set", "gc.schedule=off")["found"]
    assert "next" not in doctor(due, "--set", "gc.schedule=off")["found"]


def test_a_time_of_the_day_and_an_hour(due, tmp_path):
    """The day that has passed had every time of the day."""
    clock = time.strftime("%H:%M", time.localtime(time.time() - 1800))
    for setting in ("gc.schedule=" + clock, "gc.schedule=hourly"):
        server = Server(due, tmp_path, "--set", setting)
        wait_for(lambda: run_of(due)[0] == "done")
        assert server.stop() == 0
        age(due, HOUR)
    assert len(audited(due)) == 2


def test_who_works_in_the_images_is_not_waited_for_long(due, tmp_path):
    with open(due.data / "images/.gc.lock") as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # as a backup does
        server = Server(due, tmp_path)
        wait_for(lambda: run_of(due)[0] == "busy", 60)
        assert server.stop() == 0
        assert "somebody works in the images" in doctor(due)["found"]
        age(due, HOUR)
        server = Server(due, tmp_path)
        wait_for(lambda: run_of(due)[0] == "running")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10, "a server that stops waits for nobody"
    age(due, HOUR)
    server = Server(due, tmp_path)
    wait_for(lambda: run_of(due)[0] == "done")
    assert server.stop() == 0


def test_one_that_failed_is_told_and_tried_again(due, tmp_path):
    blobs = blobs_of(due.data)
    blobs.rename(blobs.with_name("elsewhere"))
    server = Server(due, tmp_path)
    wait_for(lambda: run_of(due)[0] == "failed")
    blobs.with_name("elsewhere").rename(blobs)
    assert server.stop() == 0
    found = doctor(due)
    assert (found["status"], found["mend"]) == ("warn", "waybill gc")
    assert audited(due)[0]["outcome"] == "failed"
    due.run("gc", check=True)
    assert doctor(due)["status"] == "ok"


def test_one_that_somebody_asked_for_counts(due):
    due.run("gc", "--dry-run", check=True)
    assert run_of(due)[0] == "waits"
    due.run("gc", check=True)
    outcome, result = run_of(due)
    assert outcome == "done" and re.match(r"removed \d+ blobs", result)
    assert audited(due) == [], "the audit list says what was done by itself"


# -- events that are too old --

def grow_old(waybill, days):
    store(waybill, "UPDATE events SET occur_time = occur_time - ?", days * DAY)
    store(waybill, "UPDATE models SET deleted_at = deleted_at - ?", days * DAY)


def test_old_events_of_attempts_that_others_followed_go(ready, package):
    broken = package(config={"model_type": "Nonsense"}, name="broken")
    sound = package(name="sound")
    ready.run("import", broken, "--name", "m")
    ready.run("retry", "m", sound, check=True)
    ready.run("import", sound, "--name", "lonely", check=True)
    config = json.dumps({"model_algorithm": "other", "model_type": "Nonsense"})
    (sound / "model/config.json").write_text(config)
    for _ in range(2):
        assert ready.run("import", sound, "--name", "m", "--version", "0.0.1", "--if-exists",
                         "retry").returncode == 1
    grow_old(ready, 40)
    ready.run("gc", check=True)  # for ever, by default
    assert {event["attempt"] for event in ready.run("events", "m", "--json").events} == {1, 2, 3, 4}
    dry = ready.run("gc", "--dry-run", "--json", "--set", "store.events_days=30", check=True).events[0]
    assert dry["forgotten_attempts"] == 2
    done = ready.run("gc", "--set", "store.events_days=30", check=True)
    assert "old events of attempts: 2" in done.stdout
    left = ready.run("events", "m", "--json", check=True).events
    assert {event["attempt"] for event in left} == {2, 4}, "the image's, and the newest"
    assert left[0]["seq"] > 1 and event_names(left)[-1] == "ImportFailed"
    assert len(ready.run("events", "lonely", "--json", check=True).events) > 5
    for command in (["show", "m"], ["diff", "m"], ["explain", "m"], ["report", "m"], ["events", "m"],
                    ["events", "m", "--waterfall"], ["log", "m"], ["models"]):
        assert ready.run(*command).returncode in (0, 1), command
    ready.run("retry", "m", "--config", package(name="good") / "model/config.json", check=True)
    assert_store(ready)


def test_young_events_and_attempts_under_way_stay(ready, package):
    broken = package(config={"model_type": "Nonsense"})
    ready.run("import", broken, "--name", "m")
    ready.run("retry", "m")
    ready.run("gc", "--set", "store.events_days=1", check=True)
    assert {event["attempt"] for event in ready.run("events", "m", "--json").events} == {1, 2}


def test_deleted_models_go_by_the_shorter_of_both(ready, package):
    ready.run("import", package(), "--name", "m", check=True)
    ready.run("delete", "m", check=True)
    grow_old(ready, 40)
    ready.run("gc", "--set", "store.events_days=60", check=True)
    assert ready.run("events", "m", "--deleted", check=True).stdout
    ready.run("gc", "--set", "store.events_days=30", "--set", "store.deleted_days=0", check=True)
    assert ready.run("events", "m", "--deleted").returncode == 1


def test_a_store_in_postgresql(tmp_path, base_layout, package, postgres_server, database):  # noqa: F811
    waybill = Waybill(tmp_path / "data")
    waybill.environment["WAYBILL_STORE_URL"] = database
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    broken = package(config={"model_type": "Nonsense"})
    for _ in range(2):
        waybill.run("import", broken, "--name", "m", "--version", "0.0.1")

    def ask(sql):
        return postgres_server.of(database, sql)
    server = Server(waybill, tmp_path)
    wait_for(lambda: ask("SELECT outcome FROM gc_runs") == ["waits"])
    assert server.stop() == 0
    ask(f"UPDATE gc_runs SET began_at = began_at - {DAY}")
    ask(f"UPDATE events SET occur_time = occur_time - {40 * DAY}")
    server = Server(waybill, tmp_path, "--set", "store.events_days=30")
    wait_for(lambda: ask("SELECT outcome FROM gc_runs") == ["done"])
    assert server.stop() == 0
    assert ask("SELECT DISTINCT attempt FROM events") == ["2"]
    assert ask("SELECT result FROM gc_runs") == ["removed 1 attempts' old events"]
