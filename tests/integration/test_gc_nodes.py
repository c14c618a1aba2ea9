"""gc by itself on several machines: what is everybody's one of them does, and each what is its own."""
import json
import os
import re
import time

from conftest import wait_for
from postgres import postgres_server  # noqa: F401
from radosgw import rgw  # noqa: F401
from test_nodes import nodes_at, sources  # noqa: F401

DAY = 86400_000
LEFT = ("images/tmp/0123456789abcdef", "images/blobs/sha256/" + "ab" * 32, "images/partial/lost",
        "uploads/lost/files/model/config.json", "bootstrap-lost/etc/passwd", "sandbox/lost/work/file",
        "unpacked/" + "cd" * 12 + "/usr/file")


def leave(waybill):
    """What killed imports and builds, a runtime and an environment that are gone leave behind."""
    for name in LEFT:
        path = waybill.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left")


def left(waybill):
    return [name for name in LEFT if (waybill.data / name).exists()]


def own_run(waybill):
    path = waybill.data / "gc.json"
    return json.loads(path.read_text()) if path.exists() else None


def outcomes(nodes):
    return [(own_run(node.waybill) or {}).get("outcome") for node in [*nodes.apis, *nodes.workers]]


def a_day_passes(nodes):
    """For the store and each directory; nobody works on them."""
    nodes.sql(f"UPDATE gc_runs SET began_at = began_at - {DAY}")
    for node in [*nodes.apis, *nodes.workers]:
        run = own_run(node.waybill)
        run["began_at"] -= DAY
        (node.waybill.data / "gc.json").write_text(json.dumps(run))


def checks(waybill):
    return {check["id"]: check for check in waybill.run("doctor", "--json").events}


def publish(nodes, source):
    model = nodes.submit(nodes.apis[0], "amber", source, "m")
    nodes.wait_for_all(60)
    assert nodes.outcomes() == {model: "imported"}, nodes.said()
    return model


def test_each_node_cleans_its_own_directory_and_one_what_is_everybody_s(nodes_at, sources):  # noqa: F811
    nodes = nodes_at(2, 2)
    model = publish(nodes, sources(1)[0])
    answer = nodes.apis[0].ask("DELETE", f"/v1/amber/models/{model}")
    assert answer.status in (200, 204), str(answer)
    wait_for(lambda: outcomes(nodes) == ["waits"] * 4)
    assert nodes.sql("SELECT outcome FROM gc_runs") == ["waits"]
    everybody = [*nodes.apis, *nodes.workers]
    for node in everybody:
        assert node.stop() == 0
        leave(node.waybill)
    a_day_passes(nodes)
    for node in everybody:
        node.start()
    wait_for(lambda: outcomes(nodes) == ["done"] * 4 and nodes.sql("SELECT outcome FROM gc_runs") == ["done"], 60)
    for node in everybody:
        assert left(node.waybill) == [], node.waybill.data
        run = own_run(node.waybill)
        uploads = ", 2 uploads" if node in nodes.workers else ""  # of which a server looks each minute
        assert re.match(rf"removed \d+ blobs, \d+ left-over files{uploads}: ", run["result"]), run
        assert run["worker"].endswith(f"/{node.process.pid}")
        log = (nodes.where / f"{node.waybill.data.name}.log").read_text()
        assert log.count("waybill: gc of this data directory: removed ") == 1, log
    assert nodes.sql("SELECT result FROM gc_runs") == ["removed 1 images in the registry"]
    [worker] = nodes.sql("SELECT worker FROM gc_runs")
    assert worker in [f"{os.uname().nodename}/{api.process.pid}" for api in nodes.apis], "a server's settings count"
    assert nodes.sql("SELECT object FROM audit WHERE action = 'gc'") == [worker]
    assert nodes.said().count("gc by its schedule: ") == 1


def test_doctor_and_gc_by_hand_know_of_both(nodes_at):  # noqa: F811
    nodes = nodes_at(1, 1)
    wait_for(lambda: outcomes(nodes) == ["waits"] * 2)
    server, worker = nodes.apis[0].waybill, nodes.workers[0].waybill
    found = checks(worker)
    assert "none ran yet" in found["gc"]["found"] and "none ran yet" in found["gc-directory"]["found"]
    leave(worker)
    leave(server)
    began = time.time() * 1000
    worker.run("gc", "--dry-run", check=True)
    assert outcomes(nodes) == ["waits"] * 2
    worker.run("gc", check=True)
    assert left(worker) == [] and left(server) == [*LEFT], "this directory's alone"
    run = own_run(worker)
    assert run["outcome"] == "done" and run["began_at"] >= began - 1000 and "left-over files" in run["result"]
    assert outcomes(nodes) == ["waits", "done"]
    assert nodes.sql("SELECT outcome, result FROM gc_runs") == ["done|removed nothing"]
    found = checks(worker)
    assert "removed nothing" in found["gc"]["found"] and run["result"] in found["gc-directory"]["found"]
    assert "; next 20" in found["gc-directory"]["found"]
    assert "none ran yet" in checks(server)["gc-directory"]["found"]
