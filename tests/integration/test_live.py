"""Live views: a project's stream, progress, the list of all models' events, the workers."""
import json
import os
import random
import shutil
import signal
import threading
import time

import pytest

from conftest import make_scratch
from serving import Server

GIB = 1 << 30
PROJECT = "/v1/default"


def until(true, what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


def frames(connection, path, headers=None):
    """(id or None, type, data) of a stream, until it ends."""
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    fields = {}
    for line in response:
        line = line.decode().rstrip("\n")
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            assert name not in fields
            fields[name] = value
        elif fields:
            yield fields.get("id"), fields["event"], json.loads(fields["data"])
            fields = {}


class LiveList:
    """What a browser tab does: the list as the stream alone says it. A client that is never told to
    forget, and that trusts every frame: any lost change stays visible as a wrong list."""

    def __init__(self):
        self.models, self.last_id, self.synced, self.resets = {}, None, False, 0
        self.sent = []

    def take(self, frame):
        number, kind, data = frame
        self.sent.append((kind, data.get("model_id")))
        if number:
            self.last_id = number
        if kind == "reset":
            self.models = {}
            self.resets += self.last_id is not None
        elif kind == "model":
            self.models[data["model_id"]] = data
        elif kind == "deleted":
            self.models.pop(data["model_id"], None)
        else:
            assert kind == "synced", frame
            self.synced = True

    def follow(self, server, enough=lambda: False, query=""):
        """Until enough, or the connection breaks."""
        self.synced = False
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        connection = server.connection()
        try:
            for frame in frames(connection, f"{PROJECT}/events/stream{query}", headers):
                self.take(frame)
                if enough():
                    return True
        except (OSError, ValueError) as error:  # the server was killed
            assert not isinstance(error, json.JSONDecodeError), error
        except Exception as error:  # http.client's own
            assert type(error).__module__ == "http.client", error
        finally:
            connection.close()
        return False

    def state(self):
        return {model_id: (model["model_name"], model["model_version"], model["model_status"],
                           model["attempt"], model["last_seq"])
                for model_id, model in self.models.items()}


def listed(server):
    """The same, as GET models says it."""
    return {model["model_id"]: (model["model_name"], model["model_version"], model["model_status"],
                                model["attempt"], model["last_event"]["seq"])
            for model in server.get("/models").json["models"]}


# -- the project's stream --

def test_a_tab_sees_what_there_is_and_every_change(server, package):
    first = server.create(package(), "a").json["model_id"]
    server.settled(first)
    tab = LiveList()
    assert tab.follow(server, lambda: tab.synced)
    assert tab.sent == [("reset", None), ("model", first), ("synced", None)]
    assert tab.state() == listed(server)
    model = tab.models[first]
    assert model["model_status"] == "published" and model["model_type"] == "Custom"
    assert model["last_event"]["reason"] == "ModelImported"
    assert "evidence" not in model["last_event"]

    second = server.create(package(), "b").json["model_id"]
    assert tab.follow(server, lambda: tab.models.get(second, {}).get("model_status") == "published")
    assert tab.resets == 0, "a known id resets nothing"
    server.ask("DELETE", f"{PROJECT}/models/{first}")
    assert tab.follow(server, lambda: first not in tab.models)
    assert tab.state() == listed(server)


def test_a_change_reaches_an_open_stream_at_once(server, ready, package):
    tab, seen = LiveList(), threading.Event()
    name = "of-another-process"

    def has_it():
        if any(model["model_name"] == name and model["model_status"] == "published"
               for model in tab.models.values()):
            seen.set()
        return seen.is_set()

    thread = threading.Thread(target=tab.follow, args=(server, has_it), daemon=True)
    thread.start()
    until(lambda: tab.synced, "the stream begins")
    ready.run("import", package(), "--name", name, check=True)
    assert seen.wait(5), tab.sent
    thread.join(5)


def test_a_client_that_was_away_gets_each_model_once(server, package):
    """However much happened meanwhile: the newest state, no backlog."""
    tab = LiveList()
    assert tab.follow(server, lambda: tab.synced)
    source = package()
    ids = [server.create(source, "m", f"0.0.{n}").json["model_id"] for n in range(1, 6)]
    for model_id in ids:
        server.settled(model_id)
    tab.sent = []
    assert tab.follow(server, lambda: tab.synced)
    assert sorted(tab.sent) == sorted([("model", model_id) for model_id in ids] + [("synced", None)])
    server.ask("DELETE", f"{PROJECT}/models/{ids[0]}")
    tab.sent = []
    assert tab.follow(server, lambda: tab.synced)
    assert tab.sent == [("deleted", ids[0]), ("synced", None)]
    assert tab.state() == listed(server)


def test_since_now_sends_only_what_comes(server, package):
    server.settled(server.create(package(), "old").json["model_id"])
    tab = LiveList()
    assert tab.follow(server, lambda: tab.synced, "?since=now")
    assert tab.sent == [("synced", None)]
    new = server.create(package(), "new").json["model_id"]
    server.settled(new)
    assert tab.follow(server, lambda: tab.synced)
    assert set(tab.models) == {new}


@pytest.mark.parametrize("since", ["x", "-1", "12345678-", "12345678-x", "7"])
def test_a_place_that_is_none_is_refused(server, since):
    answer = server.get("/events/stream", since=since)
    assert (answer.status, answer.json["error_code"]) == (400, "ModelArts.0104")
    assert since in answer.json["error_msg"]


def test_another_projects_models_are_not_in_the_stream(server, package):
    server.settled(server.create(package()).json["model_id"])
    connection = server.connection()
    seen = []
    for frame in frames(connection, "/v1/other/events/stream"):
        seen.append(frame[1])
        if frame[1] == "synced":
            break
    connection.close()
    assert seen == ["reset", "synced"]


def test_reconnects_at_random_while_all_is_killed_lose_nothing(server, ready, package):
    """Imports in other processes, some of them killed; a server that is killed and started again;
    tabs that are cut off at any frame. In the end every tab shows what GET models shows."""
    rng = random.Random(20261122)
    source, bad = package(), package({"model/config.json": "{"}, name="bad")
    tabs, over = [LiveList() for _ in range(3)], threading.Event()

    def tab_lives(tab, seed):
        cuts = random.Random(seed)
        while not over.is_set():
            left = [cuts.randrange(1, 12)]

            def cut():
                left[0] -= 1
                return left[0] <= 0 or over.is_set()
            try:
                tab.follow(server, cut)
            except ConnectionError:
                pass
            time.sleep(cuts.random() * 0.05)

    threads = [threading.Thread(target=tab_lives, args=(tab, seed), daemon=True)
               for seed, tab in enumerate(tabs)]
    for thread in threads:
        thread.start()
    for turn in range(12):
        processes = [ready.start("import", rng.choice([source, source, bad]), "--name",
                                 f"n{rng.randrange(5)}", "--quiet") for _ in range(2)]
        time.sleep(rng.random() * 0.1)
        if turn % 3 == 1:
            processes[0].kill()
        if turn % 4 == 2:
            server.stop(signal.SIGKILL)
            server.start()
        for process in processes:
            process.communicate(timeout=60)
        if turn % 3 == 2:
            name = f"n{rng.randrange(5)}"
            ready.run("delete", name)
    over.set()
    # A last change wakes those who wait; each tab then goes on from its own last id.
    ready.run("import", source, "--name", "last", check=True)
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    expected = listed(server)
    assert len(expected) >= 5
    for tab in tabs:
        assert tab.follow(server, lambda: tab.synced)
        assert tab.state() == expected
        assert tab.resets == 0, "a killed server is no other store"


def test_a_restored_store_resets_its_clients(server, ready, package, tmp_path):
    server.settled(server.create(package(), "kept").json["model_id"])
    ready.run("backup", tmp_path / "backup", check=True)
    tab = LiveList()
    assert tab.follow(server, lambda: tab.synced)
    server.stop()
    shutil.move(ready.data, tmp_path / "old")
    ready.run("restore", tmp_path / "backup", check=True)
    server.start()
    server.settled(server.create(package(), "after").json["model_id"])
    assert tab.follow(server, lambda: tab.synced)
    assert tab.resets == 1 and tab.state() == listed(server)


# -- progress --

@pytest.fixture
def huge(package, tmp_path_factory):
    """A package whose copying takes a while, and a data directory in memory for it."""
    scratch = make_scratch(tmp_path_factory, "live", 8 * GIB)
    source = package()
    with open(source / "model" / "weights.bin", "wb") as file:
        file.truncate(GIB)
    yield source, scratch
    shutil.rmtree(scratch)


@pytest.fixture
def roomy(ready, huge):
    """The ready Waybill with its data in memory."""
    data = huge[1] / "data"
    shutil.move(ready.data, data)
    ready.data = data
    ready.environment["WAYBILL_DATA"] = str(data)
    return ready


def progress_frames(server, model_id, found):
    """Progress frames of the model's stream until found(progress)."""
    connection = server.connection()
    try:
        for number, kind, data in frames(connection, f"{PROJECT}/models/{model_id}/events/stream"):
            if kind != "progress":
                assert number, "an event has an id"
                if data["reason"] in ("ModelImported", "ImportFailed"):
                    break
                continue
            assert number is None, "progress is no place in a timeline"
            if found(data):
                return data
    finally:
        connection.close()
    raise AssertionError("no such progress")


def test_progress_of_another_process_is_seen_and_of_a_stopped_one_how_old(roomy, huge, tmp_path):
    server = Server(roomy, tmp_path)
    source, _ = huge
    process = roomy.start("import", source, "--name", "m", "--quiet")
    try:
        model = until(lambda: server.get("/models").json["models"], "the model is there")[0]
        moving = progress_frames(server, model["model_id"],
                                 lambda progress: progress.get("bytes_done", 0) > 0)
        assert moving["stage"] == "copy" and moving["file"] == "weights.bin"
        assert 0 < moving["bytes_done"] <= moving["bytes_total"] >= GIB
        assert moving["worker"].endswith(f"/{process.pid}") and moving["heartbeat_age_ms"] < 5000
        process.send_signal(signal.SIGSTOP)
        old = until(lambda: (lambda progress: progress if progress["heartbeat_age_ms"] > 2500
                             else None)(server.get("/models").json["models"][0]["progress"]),
                    "the age grows")
        assert old["stage"] == "copy"
        process.kill()
        process.wait()
        left = until(lambda: (lambda progress: progress if "hint" in progress else None)(
            server.get(f"/models/{model['model_id']}").json["progress"]), "it says who is gone")
        assert "heartbeat_age_ms" not in left and "waybill retry m:0.0.1" in left["hint"]
        assert left["hint_cn"]
    finally:
        process.kill()
        process.communicate()
        assert server.stop() == 0
    # What the killed one left behind goes with the next that begins.
    roomy.run("retry", "m", check=True)
    assert os.listdir(roomy.data / "run") == []


def test_a_queued_import_says_its_place_and_why_it_waits(roomy, huge, tmp_path):
    server = Server(roomy, tmp_path, "--workers", "1")
    source, _ = huge
    try:
        ids = [server.create(source, "m", f"0.0.{n}").json["model_id"] for n in (1, 2, 3)]
        until(lambda: "bytes_total" in server.get(f"/models/{ids[0]}").json.get("progress", {}),
              "the first one is copied")
        last = progress_frames(server, ids[2], lambda progress: "queue" in progress)
        assert last["queue"] == {"position": 2, "ahead": 1, "workers_alive": 1, "workers_busy": 1}
        assert last["stage"] == "queue" and "busy" in last["hint"]
        items = {model["model_id"]: model for model in server.get("/models").json["models"]}
        assert items[ids[2]]["progress"]["queue"]["position"] == 2
        assert items[ids[0]]["progress"]["worker"].endswith(f"/{server.process.pid}")
        workers = server.ask("GET", "/v1/workers").json
        assert workers["queue"] == {"queued": 2} and workers["workers_alive"] == 1
        assert workers["workers"][0]["model_id"] == ids[0]
        assert workers["workers"][0]["stage"] in ("check", "copy")
        # The command line on the same directory sees what the server's worker does.
        followed = roomy.run("events", ids[1], "--follow", timeout=120)
        assert followed.returncode == 0 and "1 ahead" not in followed.stdout
        assert "position 1" in followed.stderr, str(followed)
        for model_id in ids:
            assert "progress" not in server.settled(model_id, 120)
    finally:
        assert server.stop() == 0


def test_a_model_at_rest_sends_no_progress(server, package):
    model_id = server.create(package()).json["model_id"]
    server.settled(model_id)
    connection = server.connection(timeout=2.5)
    kinds = []
    with pytest.raises(TimeoutError):
        for frame in frames(connection, f"{PROJECT}/models/{model_id}/events/stream"):
            kinds.append(frame[1])
    connection.close()
    assert len(kinds) == 10 and "progress" not in kinds


# -- the events of all models --

@pytest.fixture
def mixed(server, package):
    """The server, with two models that are sound and three that failed the same way."""
    bad = package({"model/config.json": "{"}, name="bad")
    for number in (1, 2):
        server.settled(server.create(package(), f"good{number}").json["model_id"])
    server.failed = [server.settled(server.create(bad, f"bad{number}").json["model_id"])
                     for number in (1, 2, 3)]
    return server


def test_events_of_all_models_newest_first_in_pages(mixed):
    whole = mixed.get("/events").json
    assert whole["total_count"] == whole["count"] == len(whole["events"]) == 2 * 10 + 3 * 3
    assert whole["model_count"] == 5 and "next" not in whole
    times = [event["occur_time"] for event in whole["events"]]
    assert times == sorted(times, reverse=True)
    pages, cursor = [], {}
    for _ in range(10):
        page = mixed.get("/events", limit=4, **cursor).json
        assert page["total_count"] == whole["total_count"]
        pages += page["events"]
        if "next" not in page:
            break
        cursor = {"cursor": page["next"]}
    assert pages == whole["events"], "pages neither lose nor double"


def test_how_many_failed_this_way_in_the_last_hour(mixed):
    failure = mixed.failed[0]["failure"]
    same = mixed.get("/events", reason=failure["reason"], kind=failure["kind"], since="1h").json
    assert (same["total_count"], same["model_count"]) == (3, 3)
    assert {event["model_name"] for event in same["events"]} == {"bad1", "bad2", "bad3"}
    assert mixed.get("/events", reason=failure["reason"], kind="other").json["total_count"] == 0
    problems = mixed.get("/events", event_type="abnormal").json
    assert {event["reason"] for event in problems["events"]} == {failure["reason"], "ImportFailed"}
    closed = mixed.get("/events", stage="copy", event_type="normal").json
    assert {event["stage"] for event in closed["events"]} == {"copy"}
    assert closed["model_count"] == 2
    now = int(time.time() * 1000)
    assert mixed.get("/events", since=now + 60000).json["total_count"] == 0
    assert mixed.get("/events", until=now + 60000).json["total_count"] == 29
    assert mixed.ask("GET", "/v1/other/events").json["total_count"] == 0
    mixed.ask("DELETE", f"{PROJECT}/models/{mixed.failed[0]['model_id']}")
    assert mixed.get("/events", reason=failure["reason"]).json["model_count"] == 2


@pytest.mark.parametrize("query", [{"since": "yesterday"}, {"until": "x"}, {"cursor": "AAAA"},
                                   {"cursor": "%%"}, {"event_type": "bad"}, {"limit": "-1"}])
def test_bad_questions_for_events_are_told(server, query):
    answer = server.get("/events", **query)
    assert (answer.status, answer.json["error_code"]) == (400, "ModelArts.0104")
    assert next(iter(query)) in answer.json["error_msg"]


def test_the_command_line_lists_the_events_of_all(mixed, ready):
    reason = mixed.failed[0]["failure"]["reason"]
    rows = ready.run("events", "--all", "--reason", reason, "--since", "1h", check=True).stdout
    assert rows.endswith("3 events of 3 models\n"), rows
    assert rows.index("bad3:0.0.1#2") < rows.index("bad1:0.0.1#2"), "the newest first"
    events = ready.run("events", "--all", "--type", "problems", "--json", "--limit", "4",
                       check=True).events
    assert len(events) == 4 and events[0]["model_name"] == "bad3"
    cut = ready.run("events", "--all", "--limit", "1", "--lang", "zh", check=True).stdout
    assert "29 个事件" in cut and "--limit" in cut
    for wrong in (["events"], ["events", "m", "--all"], ["events", "m", "--since", "1h"],
                  ["events", "--all", "--since", "soon"], ["events", "--all", "--follow"],
                  ["events", "--all", "--limit", "0"]):
        assert ready.run(*wrong).returncode == 2, wrong


# -- details --

def test_failure_has_a_link_and_last_event_is_small(ready, package, tmp_path):
    server = Server(ready, tmp_path, "--set", "server.public_url=https://waybill.example/")
    try:
        source = package({"model/config.json": "{"})
        details = server.settled(server.create(source).json["model_id"])
        failure = details["failure"]
        assert failure["url"] == ("https://waybill.example/#/default/models/"
                                  f"{details['model_id']}/events/{failure['seq']}")
        assert {"seq", "reason", "kind", "summary", "summary_cn", "fix_by",
                "retryable"} <= set(failure)
        assert set(details["last_event"]) == {"seq", "occur_time", "event_type", "reason",
                                              "event_info", "event_info_cn"}
        events = server.get(f"/models/{details['model_id']}/events").json["events"]
        assert failure.pop("event") == events[failure["seq"] - 1]
        assert failure.pop("causes") == events[-1]["causes"]
        item = server.get("/models").json["models"][0]
        assert item["failure"] == failure and item["last_event"] == details["last_event"]
        assert "progress" not in item
    finally:
        assert server.stop() == 0


def test_workers_at_rest_are_alive_and_idle(server):
    answer = until(lambda: (lambda said: said if said["workers_alive"] == 2 else None)(
        server.ask("GET", "/v1/workers").json), "both workers say so")
    assert answer["count"] == 2 and answer["workers_busy"] == 0 and answer["queue"] == {"queued": 0}
    for worker in answer["workers"]:
        assert not worker["busy"] and worker["serves"] and worker["heartbeat_age_ms"] < 20000
