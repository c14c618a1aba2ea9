"""What is left of a deleted model: who deleted it and when, its timeline, for store.deleted_days."""
import getpass
import sqlite3
import time

from wholeness import assert_store

DAY_MS = 24 * 3600 * 1000
TABLES = ("models", "attempts", "stages", "events", "jobs", "layers", "files", "build_log")


def age(waybill, days, name="m"):
    """As if it had been deleted so many days ago."""
    with sqlite3.connect(waybill.data / "waybill.db") as store:
        store.execute("UPDATE models SET deleted_at = deleted_at - ? WHERE name = ?",
                      (days * DAY_MS, name))
    store.close()


def rows_of(waybill, model_id):
    with sqlite3.connect(waybill.data / "waybill.db") as store:
        found = {table: store.execute("SELECT count(*) FROM %s WHERE %s = ?" % (
            table, "id" if table == "models" else "model_id"), [model_id]).fetchone()[0]
            for table in TABLES}
    store.close()
    return found


def deleted(waybill):
    return waybill.run("models", "--deleted", "--json", check=True).events


def test_deleted_versions_are_listed_with_when_and_by_whom(ready, package):
    assert deleted(ready) == [] and ready.run("models", "--deleted", check=True).stdout == ""
    began = int(time.time() * 1000)
    for name in ("m", "stays", "other"):
        ready.run("import", package(name=name), "--name", name, check=True)
    ready.run("delete", "m", check=True)
    ready.run("delete", "other", check=True)
    last, first = deleted(ready)
    assert (last["model_name"], first["model_name"]) == ("other", "m")
    assert began < first["deleted_at"] <= last["deleted_at"] <= time.time() * 1000
    assert first["deleted_by"] == getpass.getuser() and first["model_status"] == "published"
    assert [model["model_name"] for model in ready.run("models", "--json").events] == ["stays"]
    assert "deleted_at" not in ready.run("models", "--json").events[0]
    rows = ready.run("models", "--deleted", check=True).stdout.splitlines()
    assert rows[1].split()[:3] == ["m", "0.0.1", "published"] and rows[1].endswith(f"Z by {getpass.getuser()}")
    assert "删除" in ready.run("models", "--deleted", "--lang", "zh", check=True).stdout
    named = ready.run("models", "--deleted", "--name", "oth", "--json", check=True).events
    assert [model["model_name"] for model in named] == ["other"]


def test_its_timeline_is_shown_by_name_version_and_id(ready, package):
    ready.run("import", package(), "--name", "m", check=True)
    [model] = ready.run("models", "--json").events
    before = ready.run("events", "m", "--json", check=True).events
    none = ready.run("events", "m", "--deleted")
    assert none.returncode == 1 and "there is no deleted model m" in none.stderr
    ready.run("delete", "m", check=True)
    for word in ("m", "m:0.0.1", model["model_id"]):
        assert ready.run("events", word, "--deleted", "--json", check=True).events == before
        gone = ready.run("events", word)
        assert gone.returncode == 1 and "there is no model" in gone.stderr
    assert ready.run("retry", model["model_id"]).returncode == 1, "a deleted model gets no attempt"
    assert "ModelImported" not in ready.run("events", "m", "--deleted", "--type", "abnormal").stdout


def test_the_version_can_be_used_again_and_each_deleted_one_is_kept(ready, package):
    ids = []
    for number in range(3):
        source = package({"model/weights.bin": f"weights {number}"}, name=f"p{number}")
        ready.run("import", source, "--name", "m", "--version", "0.0.1", check=True)
        ids.append(ready.run("models", "--json").events[0]["model_id"])
        ready.run("delete", "m:0.0.1", check=True)
    assert [model["model_id"] for model in deleted(ready)] == ids[::-1]
    newest = ready.run("events", "m:0.0.1", "--deleted", "--json", check=True).events
    assert newest == ready.run("events", ids[2], "--deleted", "--json", check=True).events
    assert newest != ready.run("events", ids[0], "--deleted", "--json", check=True).events


def test_gc_removes_the_timeline_after_its_days(ready, package):
    ready.run("import", package(), "--name", "m", check=True)
    broken = package(config={"model_type": "Nonsense"}, name="broken")
    assert ready.run("import", broken, "--name", "young").returncode == 1
    for name in ("m", "young"):
        ready.run("delete", name, check=True)
    old = next(model["model_id"] for model in deleted(ready) if model["model_name"] == "m")
    age(ready, 89)
    assert ready.run("gc", "--json", check=True).events[0]["forgotten_models"] == 0
    age(ready, 2)
    for_ever = ready.run("gc", "--json", "--set", "store.deleted_days=0", check=True)
    assert for_ever.events[0]["forgotten_models"] == 0
    dry = ready.run("gc", "--dry-run", check=True).stdout
    assert "would remove timelines of versions deleted long ago: 1\n" in dry
    assert all(rows_of(ready, old)[table] for table in ("models", "events", "jobs", "layers"))
    assert ready.run("gc", "--json", check=True).events[0]["forgotten_models"] == 1
    assert not any(rows_of(ready, old).values())
    assert [model["model_name"] for model in deleted(ready)] == ["young"]
    assert ready.run("gc", "--set", "store.deleted_days=-1").returncode == 2
    ready.run("import", package(name="again"), "--name", "m", check=True)
    assert_store(ready)


def test_a_long_deleted_model_that_a_build_still_waits_for_is_left(ready, package):
    """A build of one model may be what another's import waits for."""
    source = package()
    ready.run("import", source, "--name", "m", check=True)
    ready.run("import", source, "--name", "waits", check=True)
    ready.run("delete", "m", check=True)
    age(ready, 100)
    link = ("UPDATE jobs SET state = ?, waits_for = (SELECT j.id FROM jobs j JOIN models m ON "
            "m.id = j.model_id WHERE m.name = 'm' AND j.kind = 'import') WHERE kind = 'import' AND "
            "model_id = (SELECT id FROM models WHERE name = 'waits')")
    for state, forgotten in (("parked", 0), ("done", 1)):
        with sqlite3.connect(ready.data / "waybill.db") as store:
            store.execute(link, [state])
        store.close()
        assert ready.run("gc", "--json", check=True).events[0]["forgotten_models"] == forgotten


def test_the_api_lists_deleted_models_and_their_timelines(server, package):
    source = package()
    first, second = (server.create(source, name).json["model_id"] for name in ("a", "b"))
    for model_id in (first, second):
        server.settled(model_id)
    events = server.get(f"/models/{first}/events").json["events"]
    assert server.get(f"/models/{first}/events", deleted="true").status == 404
    server.ask("DELETE", f"/v1/default/models/{first}")
    listed = server.get("/models", deleted="true").json
    assert listed["total_count"] == 1
    [model] = listed["models"]
    assert model["model_id"] == first and model["deleted_by"] == "api"
    assert abs(model["deleted_at"] - time.time() * 1000) < 60000
    assert [model["model_id"] for model in server.get("/models").json["models"]] == [second]
    assert server.get("/models", deleted="false").json["total_count"] == 1
    for order in ("asc", "desc"):
        for sort in ("create_at", "model_version", "model_size"):
            found = server.get("/models", deleted="true", sort_by=sort, order=order)
            assert found.json["count"] == 1
    assert server.get(f"/models/{first}/events").status == 404
    again = server.get(f"/models/{first}/events", deleted="true", wait=30).json
    assert again["events"] == events
    empty = server.get(f"/models/{first}/events", deleted="true", after=10000, wait=30)
    assert empty.json["events"] == [], "nothing comes any more: it is not waited for"
    assert server.ask("GET", f"/v1/other/models/{first}/events", deleted="true").status == 404
    for path in ("/models", f"/models/{first}/events"):
        wrong = server.get(path, deleted="yes")
        assert wrong.status == 400 and "expected true or false" in wrong.json["error_msg"]
    assert server.get(f"/models/{second}/diff", against=first).status == 404
