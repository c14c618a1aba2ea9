"""Settings that the store holds, for all who work on it: waybill setting, and /v1/settings."""
import json
import sqlite3

import pytest

from conftest import wait_for
from serving import Server

MIB = 1 << 20
SMALL = "limits.model_file_gib=%.12f" % (1 / 1024)  # 1 MiB


@pytest.fixture
def large(package):
    return package({"model/weights.bin": b"\0" * (2 * MIB)}, name="large")


def rows_of(waybill, *arguments):
    return {row["key"]: row for row in waybill.run("setting", "list", "--json", *arguments, check=True).events}


def audit_of(waybill):
    return [(row["action"], row["object"]) for row in waybill.run("audit", "--json", check=True).events
            if row["action"].startswith("setting.")]


def test_what_is_set_counts_for_all_and_unset_for_none(ready, large):
    ready.run("setting", "set", SMALL, "check.pickle=off", check=True)
    refused = ready.run("import", large, "--name", "a", "--json")
    assert "ModelFileTooLarge" in refused.reasons
    rows = rows_of(ready)
    assert list(rows) == ["check.pickle", "limits.model_file_gib"]
    assert rows["check.pickle"]["value"] == "off" and rows["check.pickle"]["set_by"]
    assert rows["check.pickle"]["set_at"] > 1_700_000_000_000
    ready.run("setting", "unset", "limits.model_file_gib", "limits.model_gib", check=True)
    ready.run("retry", "a", check=True)
    assert audit_of(ready) == [("setting.set", SMALL), ("setting.set", "check.pickle=off"),
                               ("setting.unset", "limits.model_file_gib")]


def test_what_a_node_says_itself_is_above_it(ready, large, tmp_path):
    config = tmp_path / "waybill.conf"
    config.write_text("[limits]\nmodel_file_gib = 3\n")
    told = ready.run("setting", "set", SMALL, "--config-file", config, check=True).stderr
    assert f"here it stays 3 ({config} line 2)" in told
    ready.run("import", large, "--name", "a", "--config-file", config, check=True)
    here = rows_of(ready, "--config-file", config)["limits.model_file_gib"]["here"]
    assert here == {"value": "3", "origin": f"{config} line 2"}
    assert "(--set)" in ready.run("setting", "list", "--set", "limits.model_file_gib=4", check=True).stdout
    ready.environment["WAYBILL_LIMITS_MODEL_FILE_GIB"] = "5"
    assert rows_of(ready)["limits.model_file_gib"]["here"]["origin"] == "WAYBILL_LIMITS_MODEL_FILE_GIB"


def test_where_a_value_comes_from_is_told(ready):
    ready.run("setting", "set", "limits.model_gib=7", check=True)
    every = {row["key"]: row for row in ready.run("setting", "list", "--all", "--json", check=True).events}
    assert every["limits.model_gib"] == {"key": "limits.model_gib", "value": "7", "origin": "the store"}
    assert every["limits.image_gib"]["origin"] == "default" and "server.listen" not in every
    doctor = ready.run("doctor").stdout
    assert "limits.model_gib = 7 (the store)" in doctor


@pytest.mark.parametrize("change, words", [
    ("limits.model_gb=4", ["no setting limits.model_gb", "did you mean limits.model_gib?"]),
    ("limits.model_gib=much", ["\"much\"", "a number of GiB"]),
    ("limits.model_gib", ["expected SECTION.KEY=VALUE"]),
    ("store.url=postgresql://h/x", ["each node's own"]),
    ("objects.secret_key=x", ["each node's own"]),
    ("advice.ConfigMissing=x", ["each node's own"]),
    ("build.pip_index_url=https://u:hidden@h/simple", ["has a secret in it"]),
    ("sources.allow=s3://a /etc", ["\"/etc\"", "expected a prefix"])])
def test_what_the_store_cannot_hold_is_refused_and_nothing_is_set(ready, change, words):
    refused = ready.run("setting", "set", "check.pickle=off", change)
    assert refused.returncode == 2
    assert all(word in refused.stderr for word in words), refused
    assert rows_of(ready) == {} and audit_of(ready) == []


@pytest.mark.parametrize("arguments", [["set"], ["unset"], ["get", "x"], ["list", "x"], ["unset", "no.such"]])
def test_wrong_usage(ready, arguments):
    assert ready.run("setting", *arguments).returncode == 2


def test_a_running_server_goes_by_it(ready, large, tmp_path):
    server = Server(ready, tmp_path)
    try:
        ready.run("setting", "set", SMALL, check=True)
        answered = server.ask("GET", "/v1/settings").json
        assert answered["count"] == 1 and answered["settings"][0]["key"] == "limits.model_file_gib"

        def refused():  # within a second
            check = server.ask("POST", "/v1/default/models/check", {
                "model_name": "m", "model_version": "0.0.1", "model_type": "Custom",
                "source_location": f"file://{large}"})
            return any(one["reason"] == "ModelFileTooLarge" for one in check.json["findings"])
        wait_for(refused, 5)
        changed = server.ask("PATCH", "/v1/settings", {"limits.model_file_gib": None, "build.verify": False,
                                                       "limits.model_gib": 7.5})
        assert changed.status == 200
        assert {one["key"]: one["value"] for one in changed.json["settings"]} == {
            "build.verify": "false", "limits.model_gib": "7.5"}
        wait_for(lambda: not refused(), 5)
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize("body", [{"limits.model_gib": "x"}, {"server.listen": "x"}, {"limits.model_gib": []},
                                  {"no.such": None}, {"limits.model_gib": 3, "x": 1}])
def test_a_request_that_cannot_be_is_refused_as_a_whole(ready, tmp_path, body):
    server = Server(ready, tmp_path)
    try:
        refused = server.ask("PATCH", "/v1/settings", body)
        assert (refused.status, refused.json["error_code"]) == (400, "ModelArts.0104"), str(refused)
        assert server.ask("GET", "/v1/settings").json == {"count": 0, "settings": []}
    finally:
        assert server.stop() == 0


def test_what_a_newer_program_wrote_does_nothing_here(ready):
    """And is told: a store may be shared by programs of two versions."""
    ready.run("setting", "set", "limits.model_gib=7", check=True)
    with sqlite3.connect(ready.data / "waybill.db") as store:
        store.execute("UPDATE settings SET value = 'unlimited'")
        store.execute("INSERT INTO settings VALUES ('limits.next', '1', 0, 'x')")
    rows = rows_of(ready)
    assert "expected a number of GiB" in rows["limits.model_gib"]["fault"]
    assert "there is no setting" in rows["limits.next"]["fault"]
    ready.run("setting", "unset", "limits.next", check=True)
    assert list(rows_of(ready)) == ["limits.model_gib"]
    every = ready.run("setting", "list", "--all", "--json", check=True).stdout
    assert json.loads(every.splitlines()[1]) == {"key": "limits.model_gib", "value": "20", "origin": "default"}
