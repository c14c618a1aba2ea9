"""Builds that wait for a worker: how long, and who goes on with one that was left behind."""
import time

import pytest

from conftest import wait_for
from corpus_runner import assert_answered
from environments import (bring, failed, fresh_builder, helpers, index, python_layout, reasons, sdist,
                          wheel)  # noqa: F401
from serving import Server
from wholeness import assert_timeline


@pytest.fixture
def serve(fresh_builder, index, tmp_path):
    """serve(**settings): a server on fresh_builder's data directory, with that index."""
    running = []

    def start(workers, timeout=600):
        running.append(Server(fresh_builder, tmp_path, "--workers", str(workers), "--set",
                              f"build.schedule_timeout_seconds={timeout}"))
        return running[-1]
    # With a mirror of its own the command line asks for the same as the server, on any machine.
    fresh_builder.environment |= index.env | {"WAYBILL_BUILD_APT_MIRROR": "http://127.0.0.1:9/debian"}
    yield start
    index.let_go()
    for server in running:
        assert server.stop() == 0


def events_of(server, model_id):
    return server.get(f"/models/{model_id}/events").json["events"]


def collecting(waybill, name):
    return lambda: f"Collecting {name}" in waybill.run("log", name).stdout


def left_in_the_queue(serve, waybill, package, index, names):
    """The models whose builds began, and were handed back by a server that was stopped."""
    index.add(*(wheel(name) for name in names))
    index.hold(*names)
    server = serve(workers=len(names))
    ids = [server.create(bring(package, [name], name=name), name=name).json["model_id"]
           for name in names]
    for name in names:
        wait_for(lambda name=name: f"/simple/{name}/" in index.asked, 180)
    assert server.stop() == 0
    return ids


def test_a_build_that_no_worker_takes_ends_and_a_retry_builds_it(serve, fresh_builder, package,
                                                                 index):
    first, second = left_in_the_queue(serve, fresh_builder, package, index, ["one", "two"])
    server = serve(workers=1, timeout=2)
    details = server.settled(second)
    assert details["failure"]["reason"] == "BuildSchedulingFailed", details
    events = events_of(server, second)
    [told] = [event for event in events if event["reason"] == "BuildSchedulingFailed"]
    assert told["kind"] == "no_worker" and told["stage"] == "environment"
    assert told["summary"] == "No worker took it in 2 s: 1 alive, 1 busy."
    assert 2000 <= told["evidence"]["waited_ms"] < 10000
    assert told["evidence"]["setting"] == "build.schedule_timeout_seconds"
    assert [event["cause"] for event in events if event["reason"] == "ImportFailed"] == [told["seq"]]
    assert reasons(events)[-3:] == ["BuildSchedulingFailed", "ImageBuildStatus", "ImportFailed"]
    assert_timeline(events)
    assert_answered(fresh_builder, told)
    assert server.get(f"/models/{first}").json["model_status"] == "publishing", "it is built"
    index.let_go()
    assert server.settled(first)["model_status"] == "published"
    again = server.ask("POST", f"/v1/default/models/{second}/retry", {})
    assert again.json["attempt"] == 2, again
    assert server.settled(second)["model_status"] == "published"
    assert_timeline(events_of(server, second))


def test_maintenance_and_a_stopped_server_do_not_count(serve, fresh_builder, package, index):
    [model_id] = left_in_the_queue(serve, fresh_builder, package, index, ["patient"])
    fresh_builder.run("maintenance", "on", check=True)
    time.sleep(1.5)
    server = serve(workers=1, timeout=1)
    time.sleep(3)
    assert "BuildSchedulingFailed" not in reasons(events_of(server, model_id))
    fresh_builder.run("maintenance", "off", check=True)
    index.let_go()
    assert server.settled(model_id)["model_status"] == "published"
    assert_timeline(events_of(server, model_id))


def test_taking_and_giving_up_at_the_same_moment(serve, fresh_builder, package, index):
    """A worker that is free just when the time of the next ones is over: each ends one way or the
    other."""
    names = ["aa", "bb", "cc", "dd"]
    ids = left_in_the_queue(serve, fresh_builder, package, index, names)
    index.let_go()
    server = serve(workers=1, timeout=1)
    ended = [server.settled(model_id) for model_id in ids]
    for model_id, details in zip(ids, ended):
        events = events_of(server, model_id)
        assert_timeline(events)
        given_up = "BuildSchedulingFailed" in reasons(events)
        assert given_up == (details["model_status"] == "failed"), details
        assert given_up != ("ModelImported" in reasons(events))
    assert ended[0]["model_status"] == "published"


def test_a_project_with_too_many_builds(serve, fresh_builder, package, index):
    """Of two builds that a stopped server left one is worked on, and the other waits."""
    left = left_in_the_queue(serve, fresh_builder, package, index, ["busy", "waits"])
    server = serve(workers=1)
    wait_for(lambda: index.asked.count("/simple/busy/") == 2, 180)
    file, content = wheel("third")
    source = bring(package, [file], [(file, content)], name="third")
    told = failed(fresh_builder, source, "ImageBuildThrottled", "project_limit", "third", "--set",
                  "build.max_queued_per_project=1")
    assert told["summary"] == "default has 1 of 1 builds waiting."
    assert told["retryable"] and told["stage"] == "environment"
    assert_answered(fresh_builder, told)
    fresh_builder.run("import", source, "--name", "third", "--project", "other", "--set",
                      "build.max_queued_per_project=1", check=True)
    index.let_go()
    assert [server.settled(model_id)["model_status"] for model_id in left] == ["published"] * 2
    fresh_builder.run("retry", "third", "--set", "build.max_queued_per_project=1", check=True)


def kill_own_import(waybill, package, index, name):
    """A `waybill import` that is killed while its environment is built."""
    index.add(sdist(name, before="import time; time.sleep(2)"))
    source = bring(package, [f"{name}==1.0"], name=name)
    process = waybill.start("import", source, "--name", name)
    wait_for(collecting(waybill, name), 180)
    process.kill()
    process.communicate()
    wait_for(lambda: not helpers(waybill), 180)
    return source


def test_a_killed_own_build_waits_for_its_retry(serve, fresh_builder, package, index):
    """A server does not touch what the command line asked for."""
    server = serve(workers=1, timeout=1)
    kill_own_import(fresh_builder, package, index, "lonely")
    time.sleep(3)
    assert reasons(fresh_builder.run("events", "lonely", "--json").events)[-1] == \
        "EnvImageBuildStarted"
    assert server.ask("GET", "/v1/workers").json["workers_busy"] == 0
    fresh_builder.run("retry", "lonely", check=True)
    events = fresh_builder.run("events", "lonely", "--json").events
    assert {event["attempt"] for event in events} == {1}
    assert_timeline(events)


def test_a_server_goes_on_with_a_killed_build_that_it_needs(serve, fresh_builder, package, index):
    server = serve(workers=1, timeout=2)
    source = kill_own_import(fresh_builder, package, index, "shared")
    model_id = server.create(source, name="served").json["model_id"]
    assert server.settled(model_id)["model_status"] == "published"
    joined = events_of(server, model_id)
    assert [event["evidence"]["decision"] for event in joined
            if event["reason"] == "EnvImageExplained"] == ["join"]
    assert_timeline(joined)
    # The other's environment is built with it; the rest of its import is its own.
    own = fresh_builder.run("events", "shared", "--json").events
    assert reasons(own)[-1] == "ImportResumed", own
    fresh_builder.run("retry", "shared", check=True)
    own = fresh_builder.run("events", "shared", "--json").events
    assert {event["attempt"] for event in own} == {1}
    assert reasons(own).count("EnvImageBuildStarted") == 1
    assert_timeline(own)
