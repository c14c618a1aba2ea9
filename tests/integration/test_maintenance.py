"""Maintenance: imports that would start wait, each told once in a window; those that run go on."""
import json
import os
import signal
import sqlite3
import threading
import time
from datetime import datetime, timezone

import pytest

from attempts import SOUND
from conftest import finish, wait_for
from wholeness import assert_store, assert_timeline, event_names

MIB = 1 << 20


def switch(server, on, **fields):
    answer = server.ask("POST", "/v1/maintenance", {"on": on} | fields)
    assert answer.status == 200, answer
    return answer.json


def events_of(server, model_id):
    return server.get(f"/models/{model_id}/events").json["events"]


def names_of(server, model_id):
    return event_names(events_of(server, model_id))


def timeline(waybill, name="m"):
    return waybill.run("events", name, "--json", check=True).events


def hold(waybill, *arguments):
    """An import in a process of its own that waits: (process, its SystemUpgrading)."""
    process = waybill.start(*arguments, "--json")
    return process, json.loads(process.stdout.readline())


def test_the_server_holds_what_would_start_and_lets_it_go(server, package):
    source = package()
    state = switch(server, True, message="upgrade to 0.2.0", until="2h")
    assert state["on"] and state["message"] == "upgrade to 0.2.0" and state["actor"] == "api"
    ids = [server.create(source, f"m{number}").json["model_id"] for number in range(5)]
    for model_id in ids:
        wait_for(lambda: names_of(server, model_id) == ["SystemUpgrading"])
    [event] = events_of(server, ids[2])
    assert event["event_type"] == "normal" and event["stage"] == "queue" and event["attempt"] == 1
    assert event["evidence"]["message"] == "upgrade to 0.2.0"
    until = datetime.strptime(event["evidence"]["until"], "%Y-%m-%dT%H:%M:%SZ")
    assert 7000 < until.replace(tzinfo=timezone.utc).timestamp() - time.time() < 7300
    assert "Nothing to do" in event["advice"][0] and "无需操作" in event["advice_cn"][0]
    assert server.get(f"/models/{ids[0]}").json["model_status"] == "publishing"
    now = server.ask("GET", "/v1/maintenance").json
    assert now["waiting"] == 5 and now["until"] == state["until"]
    assert "\nwaybill_maintenance 1\n" in server.ask("GET", "/metrics").body.decode()
    for path in ("/readyz", "/healthz"):
        assert server.ask("GET", path).status == 200
    assert switch(server, False) == {"on": False}
    for model_id in ids:
        assert server.settled(model_id)["model_status"] == "published"
        assert names_of(server, model_id) == ["SystemUpgrading", *SOUND]
    assert "\nwaybill_maintenance 0\n" in server.ask("GET", "/metrics").body.decode()


def test_what_runs_goes_on_to_its_end(server, package):
    model_id = server.create(package({"model/weights.bin": 600 * MIB})).json["model_id"]
    wait_for(lambda: names_of(server, model_id)[:1] == ["ImportStarted"])
    switch(server, True)
    assert "ModelImported" not in names_of(server, model_id), "it was to be running still"
    assert server.settled(model_id)["model_status"] == "published"
    assert names_of(server, model_id) == SOUND
    switch(server, False)


def test_two_windows_tell_twice_and_a_changed_one_does_not(server, ready, package):
    switch(server, True, message="first")
    model_id = server.create(package()).json["model_id"]
    wait_for(lambda: names_of(server, model_id) == ["SystemUpgrading"])
    switch(server, True, message="first, still", until="1h")
    # Off and on at once, before anybody could begin: in the store, so that no worker comes between.
    with sqlite3.connect(ready.data / "waybill.db") as store:
        store.execute("UPDATE maintenance SET number = number + 1, message = 'second', since = since + 1")
    wait_for(lambda: len(names_of(server, model_id)) == 2)
    messages = [event["evidence"]["message"] for event in events_of(server, model_id)]
    assert messages == ["first", "second"]
    switch(server, False)
    server.settled(model_id)
    assert names_of(server, model_id) == ["SystemUpgrading"] * 2 + SOUND


def test_the_end_of_its_time_lets_go(server, ready, package):
    ready.run("maintenance", "on", "--until", "2s", check=True)
    model_id = server.create(package()).json["model_id"]
    wait_for(lambda: names_of(server, model_id) == ["SystemUpgrading"])
    assert server.settled(model_id, 10)["model_status"] == "published"
    first, second = events_of(server, model_id)[:2]
    assert second["occur_time"] - first["occur_time"] < 4000
    assert ready.run("maintenance", check=True).stdout == "maintenance is off\n"
    assert server.ask("GET", "/v1/maintenance").json == {"on": False}


def test_off_of_another_process_lets_go_and_nobody_spins(server, ready, package):
    ready.run("maintenance", "on", "--message", "more disk", check=True)
    model_id = server.create(package()).json["model_id"]
    wait_for(lambda: names_of(server, model_id) == ["SystemUpgrading"])
    fields = open(f"/proc/{server.process.pid}/stat").read().split()
    time.sleep(2)
    later = open(f"/proc/{server.process.pid}/stat").read().split()
    ticks = sum(int(later[at]) - int(fields[at]) for at in (13, 14))
    assert ticks < os.sysconf("SC_CLK_TCK") / 2, "it waits, and is not to look all the time"
    ready.run("maintenance", "off", check=True)
    began = time.monotonic()
    wait_for(lambda: "ImportStarted" in names_of(server, model_id))
    assert time.monotonic() - began < 5
    assert server.settled(model_id)["model_status"] == "published"


def test_it_survives_restarts_and_kills_without_a_second_event(server, package):
    switch(server, True, message="reboot")
    ids = [server.create(package(), f"m{number}").json["model_id"] for number in range(6)]
    server.stop(signal.SIGKILL)
    for _ in range(3):
        server.start()
        wait_for(lambda: server.ask("GET", "/v1/maintenance").json.get("waiting") == 6)
        server.stop(signal.SIGKILL)
    server.start()
    for model_id in ids:
        assert names_of(server, model_id) == ["SystemUpgrading"]
    assert server.ask("GET", "/v1/maintenance").json["message"] == "reboot"
    switch(server, False)
    for model_id in ids:
        assert server.settled(model_id)["model_status"] == "published"
        assert names_of(server, model_id) == ["SystemUpgrading", *SOUND]


def test_what_was_interrupted_waits_before_it_is_resumed(server, package):
    model_id = server.create(package({"model/weights.bin": 600 * MIB})).json["model_id"]
    wait_for(lambda: len(names_of(server, model_id)) >= 2)
    switch(server, True)
    server.stop(signal.SIGKILL)
    server.start()
    wait_for(lambda: "SystemUpgrading" in names_of(server, model_id))
    assert "ImportResumed" not in names_of(server, model_id)
    switch(server, False)
    assert server.settled(model_id)["model_status"] == "published"
    names = names_of(server, model_id)
    assert names.index("SystemUpgrading") + 1 == names.index("ImportResumed")
    assert names.count("SystemUpgrading") == 1
    assert [name for name in names if name not in ("SystemUpgrading", "ImportResumed")] == SOUND


def test_a_retry_waits_like_an_import(server, package):
    source = package(config={"model_type": "Nonsense"})
    model_id = server.create(source).json["model_id"]
    assert server.settled(model_id)["model_status"] == "failed"
    (source / "model/config.json").write_text(
        json.dumps({"model_algorithm": "test", "model_type": "Custom"}))
    switch(server, True)
    assert server.ask("POST", f"/v1/default/models/{model_id}/retry", {}).json["attempt"] == 2
    wait_for(lambda: names_of(server, model_id)[-1] == "SystemUpgrading")
    assert events_of(server, model_id)[-1]["attempt"] == 2
    switch(server, False)
    assert server.settled(model_id)["model_status"] == "published"
    assert names_of(server, model_id).count("SystemUpgrading") == 1


def test_cancel_and_delete_of_what_waits_need_no_end_of_maintenance(server, package):
    switch(server, True)
    first, second = (server.create(package(), name).json["model_id"] for name in ("a", "b"))
    wait_for(lambda: names_of(server, second) == ["SystemUpgrading"])
    assert server.ask("POST", f"/v1/default/models/{first}/cancel", {}).json["cancelled"]
    names = names_of(server, first)
    assert names[0] == "SystemUpgrading" and names[-2:] == ["ImportCancelled", "ImportFailed"]
    deleted = server.ask("DELETE", f"/v1/default/models/{second}").json
    assert deleted["delete_success_list"] == [second]
    assert server.ask("GET", "/v1/maintenance").json["waiting"] == 0
    switch(server, False)


def test_an_own_import_says_that_it_waits_and_goes_on(ready, package):
    ready.run("maintenance", "on", "--message", "升级 to 0.2.0", "--until", "3h", check=True)
    process, first = hold(ready, "import", package(), "--name", "m")
    assert first["reason"] == "SystemUpgrading" and first["evidence"]["position"] == 1
    assert ready.run("models", "--json").events[0]["model_status"] == "publishing"
    said = process.stderr.readline()
    assert said.startswith("waybill: the service is in maintenance: 升级 to 0.2.0 (until ")
    assert ready.run("maintenance", "off").stdout == "maintenance is off\n"
    status, _, _ = finish(process)
    assert status == 0
    assert event_names(timeline(ready)) == ["SystemUpgrading", *SOUND]
    assert_store(ready)


def test_an_own_import_is_interrupted_killed_and_resumed(ready, package):
    source = package()
    ready.run("maintenance", "on", check=True)
    process, _ = hold(ready, "import", source, "--name", "m")
    process.send_signal(signal.SIGINT)
    status, _, stderr = finish(process)
    assert status == 130 and "go on: waybill retry m:0.0.1" in stderr
    process = ready.start("retry", "m")
    assert "in maintenance" in process.stderr.readline(), "there is no event that says it anew"
    process.kill()
    finish(process)
    late = ready.run("retry", "m", "--timeout", "1s")
    assert late.returncode == 1 and "has not ended within" in late.stderr
    assert event_names(timeline(ready)) == ["SystemUpgrading"]
    detached = ready.run("import", source, "--name", "m", "--detach", check=True)
    assert "importing m:0.0.1" in detached.stdout
    ready.run("maintenance", "off", check=True)
    assert ready.run("wait", "m", "--timeout", "60s").returncode == 0
    assert event_names(timeline(ready)) == ["SystemUpgrading", *SOUND]


def test_many_own_imports_and_a_cancel_from_outside(ready, package):
    source = package()
    ready.run("maintenance", "on", check=True)
    waiting = [hold(ready, "import", source, "--name", f"m{number}")[0] for number in range(4)]
    ready.run("cancel", "m0", check=True)
    assert finish(waiting[0])[0] == 1
    ready.run("maintenance", "off", check=True)
    assert [finish(process)[0] for process in waiting[1:]] == [0, 0, 0]
    for number in range(1, 4):
        events = timeline(ready, f"m{number}")
        assert_timeline(events)
        assert event_names(events) == ["SystemUpgrading", *SOUND]


def test_switching_to_and_fro_under_load_loses_and_doubles_nothing(server, package):
    source = package({"model/weights.bin": 5 * MIB})
    ids, done = [], threading.Event()

    def toggle():
        while not done.is_set():
            switch(server, True, message="x")
            done.wait(0.05)
            switch(server, False)
            done.wait(0.1)

    thread = threading.Thread(target=toggle)
    thread.start()
    try:
        for number in range(15):
            ids.append(server.create(source, f"m{number}").json["model_id"])
    finally:
        done.set()
        thread.join()
    for model_id in ids:
        assert server.settled(model_id)["model_status"] == "published"
        events = events_of(server, model_id)
        assert_timeline(events)
        assert [name for name in event_names(events) if name != "SystemUpgrading"] == SOUND


@pytest.mark.parametrize("arguments, words", [
    (["on", "--until", "yesterday"], "expected a time such as"),
    (["on", "--until", "2001-01-01T00:00"], "a time in the future"),
    (["on", "--until", "99:99"], "expected a time such as"),
    (["on", "--message", "x" * 501], "more than 500 characters"),
    (["off", "--message", "x"], "belong to"),
    (["perhaps"], "expected on, off or status"),
    (["on", "off"], "one argument too many"),
])
def test_wrong_usage_is_told(ready, arguments, words):
    refused = ready.run("maintenance", *arguments)
    assert refused.returncode == 2 and words in refused.stderr, str(refused)
    assert ready.run("maintenance", "--json", check=True).events == [{"on": False}]


@pytest.mark.parametrize("body, words", [
    ({}, "on is missing"), ({"on": 1}, "true or false"), ({"on": True, "message": 3}, "a string"),
    ({"on": True, "until": "soon"}, "until: expected"), ({"on": True, "until": 1}, "future"),
    ({"on": True, "until": 9223372036854775807}, "future"), ({"on": True, "until": []}, "until"),
    ({"on": True, "untill": 1}, "untill is not a field"), ({"on": True, "message": "x" * 501}, "500"),
])
def test_wrong_bodies_are_told(server, body, words):
    answer = server.ask("POST", "/v1/maintenance", body)
    assert answer.status == 400 and words in answer.json["error_msg"], answer
    assert server.ask("GET", "/v1/maintenance").json == {"on": False}


def test_it_is_shown_in_both_languages_and_by_doctor(ready):
    until = ready.run("maintenance", "on", "--message", "new disks", "--until", "2099-01-01T00:00Z",
                      check=True).stdout
    assert "until    2099-01-01T00:00:00.000Z" in until and "message  new disks" in until
    chinese = ready.run("maintenance", "status", "--lang", "zh", check=True).stdout
    assert "维护模式已开启" in chinese and "new disks" in chinese
    [check] = [check for check in ready.run("doctor", "--json").events if check["id"] == "maintenance"]
    assert check["status"] == "warn" and check["mend"] == "waybill maintenance off"
    assert ready.run("maintenance", "off", "--lang", "zh").stdout == "维护模式已关闭\n"
    assert "maintenance" not in ready.run("doctor", "--json").stdout
