"""PUT /v1/{project_id}/models/{model_id}, and what POST and a retry take of dependencies."""
import json
import signal
import threading

import pytest

from serving import Server
from updates import MIB, REBUILT, NO_SANDBOX, pip, assert_texts
from wholeness import assert_timeline, event_names


# -- over HTTP --

@pytest.fixture
def server(ready, tmp_path):
    server = Server(ready, tmp_path, "--workers", "1")
    yield server
    assert server.stop() == 0


def put(server, model_id, **body):
    return server.ask("PUT", f"/v1/default/models/{model_id}", body)


@pytest.fixture
def served(server, package):
    """(server, the id of an imported model)"""
    model_id = server.create(package()).json["model_id"]
    assert server.settled(model_id)["model_status"] == "published"
    return server, model_id


def events_of(server, model_id):
    return server.get(f"/models/{model_id}/events").json["events"]


def test_put_changes_both_at_once(served):
    server, model_id = served
    former = server.get(f"/models/{model_id}").json
    answer = put(server, model_id, description="new", dependencies=pip("numpy"))
    assert answer.status == 200, answer
    assert answer.json["model_id"] == model_id and answer.json["description"] == "new"
    assert answer.json["model_status"] in ("building", "building_failed")
    assert answer.json["dependencies"] == pip("numpy")
    settled = server.settled(model_id)
    assert settled["model_status"] == "building_failed"
    assert settled["image_address"] == former["image_address"]
    assert settled["failure"]["reason"] == "BuildStartFailed"
    assert settled["failure"]["kind"] == "no_sandbox"
    events = events_of(server, model_id)
    assert_timeline(events)
    assert event_names(events)[-8:] == ["DescriptionUpdated", "DependenciesUpdated", *NO_SANDBOX]
    for event in events[-8:-6]:
        assert_texts(event)
        assert event["actor"]
    assert put(server, model_id, dependencies=pip("NUMPY")).json["model_status"] == "building_failed"
    assert event_names(events_of(server, model_id))[-1] == "DependenciesUnchanged"
    assert put(server, model_id, dependencies=[]).status == 200
    assert server.settled(model_id)["model_status"] == "published"
    again = put(server, model_id, description="new")
    assert again.status == 200 and again.json["last_event"]["reason"] == "ModelImported"


@pytest.mark.parametrize("body, code, words", [
    ({}, "ModelArts.0104", ["nothing to update"]),
    ({"description": None}, "ModelArts.0104", ["nothing to update"]),
    ({"model_name": "x", "description": 3, "dependencies": {}}, "ModelArts.0104",
     ["model_name is not a field", "description must be a string",
      "dependencies must be an array"]),
    ({"description": "a<b"}, "ModelArts.3037", ["description: "]),
    ({"dependencies": pip("a b")}, "ModelArts.3016", ["dependencies[0].packages[0].package_name"]),
    ({"dependencies": pip("libc6>=1", installer="apt")}, "ModelArts.3040", ["EXACT"]),
    ({"dependencies": [{"installer": "pip", "packages": [
        {"package_name": "a", "package_version": "1", "restraint": "about"}]}]}, "ModelArts.3041",
     ["restraint is \"about\"", "EXACT, ATLEAST or ATMOST"]),
    ({"description": "a<b", "dependencies": pip("a b", "c;d")}, "ModelArts.3037",
     ["description: ", "packages[0]", "packages[1]"]),
])
def test_put_names_every_fault(served, body, code, words):
    server, model_id = served
    before = events_of(server, model_id)
    answer = put(server, model_id, **body)
    assert (answer.status, answer.json["error_code"]) == (400, code), answer
    for word in words:
        assert any(word in fault for fault in answer.json["details"]), answer
    assert events_of(server, model_id) == before


def test_put_of_no_model_is_404(server):
    answer = put(server, "nobody", description="x")
    assert (answer.status, answer.json["error_code"]) == (404, "ModelArts.3001")


def test_one_rebuild_at_a_time(served, package):
    """Several at once: one begins, while the others are told that an image is being built."""
    server, model_id = served
    busy = server.create(package({"model/weights.bin": 300 * MIB}, name="large"), "busy")
    busy_id = busy.json["model_id"]  # holds the only worker
    assert put(server, busy_id, dependencies=[]).json["error_code"] == "ModelArts.3065"
    barrier, answers = threading.Barrier(4), []

    def ask(number):
        barrier.wait()
        answers.append(put(server, model_id, description=f"number {number}",
                           dependencies=pip(f"package{number}")))
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if answer.status != 200]
    assert [(answer.status, answer.json["error_code"]) for answer in refused] == \
        [(500, "ModelArts.3065")] * 3
    [accepted] = [answer.json for answer in answers if answer.status == 200]
    assert accepted["model_status"] == "building" and accepted["image_address"]
    settled = server.settled(model_id)
    assert settled["description"] == accepted["description"], "the others changed nothing"
    names = event_names(events_of(server, model_id))
    assert names.count("DependenciesUpdated") == names.count("DescriptionUpdated") == 1
    assert_timeline(events_of(server, model_id))
    assert server.settled(busy_id)["model_status"] == "published"


def test_a_queued_rebuild_is_cancelled(served, package):
    server, model_id = served
    server.create(package({"model/weights.bin": 300 * MIB}, name="large"), "busy")
    assert put(server, model_id, dependencies=pip("numpy")).json["model_status"] == "building"
    cancelled = server.ask("POST", f"/v1/default/models/{model_id}/cancel", {})
    assert cancelled.json["cancelled"] is True
    settled = server.settled(model_id)
    assert settled["model_status"] == "building_failed" and settled["image_address"]
    names = event_names(events_of(server, model_id))
    assert names[-4:] == ["DependenciesUpdated", "ImportStarted", "ImportCancelled", "ImportFailed"]
    assert put(server, model_id, dependencies=[]).status == 200, "nothing is built any more"
    assert server.settled(model_id)["model_status"] == "published"


def test_a_killed_server_goes_on_with_its_rebuilds(ready, package, tmp_path):
    server = Server(ready, tmp_path, "--workers", "1")
    model_id = server.create(package()).json["model_id"]
    server.settled(model_id)
    put(server, model_id, dependencies=pip("numpy"))
    server.settled(model_id)
    server.create(package({"model/weights.bin": 300 * MIB}, name="large"), "busy")
    assert put(server, model_id, dependencies=[]).json["model_status"] == "building"
    server.stop(signal.SIGKILL)
    server.start()
    assert server.settled(model_id)["model_status"] == "published"
    events = events_of(server, model_id)
    assert_timeline(events)
    assert [name for name in event_names(events) if name != "ImportResumed"][-9:] == \
        ["DependenciesUpdated", *REBUILT]
    assert server.stop() == 0


def test_a_never_imported_model_is_retried_with_dependencies(server, package):
    source = package(config={"dependencies": pip("numpy")})
    model_id = server.create(source).json["model_id"]
    assert server.settled(model_id)["model_status"] == "failed"
    refused = put(server, model_id, dependencies=[])
    assert (refused.status, refused.json["error_code"]) == (409, "ModelArts.3002")
    assert "POST .../retry" in refused.json["error_msg"]
    assert put(server, model_id, description="described").status == 200
    retried = server.ask("POST", f"/v1/default/models/{model_id}/retry", {"dependencies": []})
    assert retried.json["attempt"] == 2, retried
    settled = server.settled(model_id)
    assert (settled["model_status"], settled["dependencies"]) == ("published", [])
    assert settled["description"] == "described"


def test_retry_takes_source_config_and_stage(server, package):
    source = package(config={"model_type": "Nonsense"})
    model_id = server.create(source).json["model_id"]
    assert server.settled(model_id)["model_status"] == "failed"
    url = f"/v1/default/models/{model_id}/retry"
    for body, code, words in [
            ({"no_cache": "yes", "storage": "fast"}, "ModelArts.0104",
             ["no_cache must be true or false", "storage is not a field of this version"]),
            ({"load_mode": "lazy"}, "ModelArts.3037", ['load_mode is "lazy"; expected "packed" or "dynamic"']),
            ({"from": "build"}, "ModelArts.0104", ["from build: attempt 1"]),
            ({"initial_config": "{"}, "ModelArts.3015", ["initial_config:1:2: found the end"]),
            ({"initial_config": "{}", "dependencies": [1]}, "ModelArts.3016",
             ["model_algorithm is missing", "dependencies[0] is 1"]),
            ({"initial_config": json.dumps({"model_type": "Custom", "model_algorithm": "t",
                                            "health": {"protocol": "http", "url": "/other"}})},
             "ModelArts.3592", ["health"]),
            ({"source_location": "file:///etc"}, "ModelArts.3017", ["import_roots"])]:
        answer = server.ask("POST", url, body)
        assert (answer.status, answer.json["error_code"]) == (400, code), answer
        for word in words:
            assert word in answer.json["error_msg"], answer
    other = package({"model/config.json": None}, name="other")
    config = json.dumps({"model_type": "Custom", "model_algorithm": "t"})
    retried = server.ask("POST", url, {"source_location": f"file://{other}", "from": "check",
                                       "initial_config": config})
    assert retried.json == {"model_id": model_id, "attempt": 2}, retried
    settled = server.settled(model_id)
    assert settled["model_status"] == "published", settled
    assert (settled["source_location"], settled["config"]) == (f"file://{other}", config)


def test_a_custom_image_is_created_without_dependencies(server, base_layout, ready):
    server.stop()
    server.roots = base_layout.parent
    server.start()
    body = {"model_name": "i", "model_version": "0.0.1", "model_type": "Image",
            "source_location": f"oci:{base_layout}:latest"}
    refused = server.ask("POST", "/v1/default/models", body | {"dependencies": pip("a")})
    assert (refused.status, refused.json["error_code"]) == (400, "ModelArts.3016"), refused
    assert refused.json["details"][0].startswith("dependencies is [{"), refused
    created = server.ask("POST", "/v1/default/models", body | {"dependencies": []})
    model_id = created.json["model_id"]
    assert server.settled(model_id)["model_status"] == "published"
    refused = put(server, model_id, dependencies=pip("a"))
    assert (refused.status, refused.json["error_code"]) == (400, "ModelArts.3016"), refused
    assert put(server, model_id, dependencies=[]).json["dependencies"] == []


def test_create_takes_dependencies_and_gives_back_what_it_echoes(server, package):
    source = package(config={"dependencies": pip("numpy")})
    apis = [{"url": "/", "method": "post"}]
    created = server.create(source, dependencies=[], apis=apis, input_params=[{"url": "/"}],
                            output_params=[{"param_name": "y"}])
    assert created.status == 200, created
    settled = server.settled(created.json["model_id"])
    assert settled["model_status"] == "published", "the request's win over config.json's"
    assert settled["dependencies"] == []
    assert json.loads(settled["apis"]) == apis
    assert settled["input_params"] == [{"url": "/"}]
    assert settled["output_params"] == [{"param_name": "y"}]
    second = server.create(source, "n", dependencies=pip("scipy==1.11"))
    settled = server.settled(second.json["model_id"])
    assert settled["failure"]["kind"] == "no_sandbox"
    assert settled["dependencies"] == pip("scipy==1.11")
    assert (settled["input_params"], settled["output_params"]) == ([], [])
    refused = server.create(source, "o", dependencies=pip("a b"), initial_config='{"port": 0}')
    assert (refused.status, len(refused.json["details"])) == (400, 4), refused


def test_created_dependencies_name_wheels_of_the_package(server, package):
    """What lies in the package is found by the import."""
    settled = server.settled(server.create(package(), dependencies=pip("x.whl")).json["model_id"])
    assert settled["model_status"] == "failed"
    assert (settled["failure"]["reason"], settled["failure"]["kind"]) == \
        ("ConfigValueInvalid", "wheel_missing")
