"""Updates of a model: `waybill update`, PUT /v1/{project_id}/models/{model_id}, and what the rebuild
that other dependencies begin leaves behind."""
import json
import shutil
import signal
import subprocess
import threading

import pytest

from conftest import ROOT, finish
from serving import Server
from wholeness import assert_store, assert_timeline, event_names, index_of

MIB = 1 << 20
TEXTS = {row["reason"]: row for row in json.loads((ROOT / "tests/data/events.json").read_text())}
REBUILT = ["ImportStarted", "ImageBuildRequested", "ImageBuildStatus(queued)", "ImageBuildStarted",
           "ImageBuildStatus(running)", "ImageBuilt", "ImageBuildStatus(succeeded)",
           "ModelImported"]
NO_SANDBOX = ["ImportStarted", "EnvImageBuildRequested", "BuildStartFailed", "ImportFailed"]


def pip(*names, installer="pip"):
    return [{"installer": installer, "packages": [dependency(name) for name in names]}]


def dependency(text):
    for sign, restraint in (("==", "EXACT"), (">=", "ATLEAST"), ("<=", "ATMOST")):
        name, found, version = text.partition(sign)
        if found:
            return {"package_name": name, "package_version": version, "restraint": restraint}
    return {"package_name": text}


@pytest.fixture
def model(ready, package):
    """The imported model m:0.0.1."""
    ready.run("import", package(), "--name", "m", check=True)
    return ready


@pytest.fixture
def update(model, tmp_path):
    """update(dependencies, …) runs `waybill update m --dependencies FILE …`."""
    def run(dependencies, *arguments, **options):
        file = tmp_path / "dependencies.json"
        file.write_text(dependencies if isinstance(dependencies, str) else json.dumps(dependencies))
        return model.run("update", "m", "--dependencies", file, *arguments, **options)
    return run


def timeline(waybill, name="m"):
    return waybill.run("events", name, "--json", check=True).events


def details(waybill, name="m"):
    return json.loads(waybill.run("show", name, "--json", check=True).stdout)


def assert_texts(event):
    row = TEXTS[event["reason"]]
    assert (event["event_info"], event["event_info_cn"]) == (row["en"], row["zh"])
    assert event["event_type"] == row["type"] and event["stage"] == row["stage"] == "update"
    assert event["solution"] is None and event["solution_cn"] is None


# -- the description --

def test_description_is_changed_and_told(model):
    done = model.run("update", "m", "--description", "ResNet-50, 76.1 % top-1", "--json", check=True)
    [event] = done.events
    assert event["reason"] == "DescriptionUpdated"
    assert_texts(event)
    assert event["attempt"] == 0, "it belongs to no attempt"
    evidence = event["evidence"]
    assert (evidence["old"], evidence["new"]) == ("", "ResNet-50, 76.1 % top-1")
    assert evidence["actor"] == event["actor"]
    shown = details(model)
    assert shown["description"] == "ResNet-50, 76.1 % top-1"
    assert (shown["model_status"], shown["attempt"]) == ("published", 1)
    assert_timeline(timeline(model))


def test_the_same_description_is_no_event(model):
    model.run("update", "m", "--description", "one", check=True)
    before = timeline(model)
    again = model.run("update", "m", "--description", "one", check=True)
    assert again.stdout == "" and "has that description already" in again.stderr
    assert timeline(model) == before


@pytest.mark.parametrize("language, text", [
    ("en", "normal   update      Model description updated."),
    ("zh", "正常     update      模型描述已更新。")])
def test_update_speaks_both_languages(model, language, text):
    done = model.run("update", "m", "--description", "one", "--lang", language, check=True)
    assert text in done.stdout, done


def test_a_retry_keeps_the_new_description(ready, package):
    """What the attempt was asked for had the old one."""
    source = package(config={"model_type": "Nonsense"})
    ready.run("import", source, "--name", "m", "--description", "old")
    ready.run("update", "m", "--description", "new", check=True)
    config = source / "good.json"
    config.write_text(json.dumps({"model_type": "Custom", "model_algorithm": "t"}))
    ready.run("retry", "m", "--config", config, check=True)
    assert details(ready)["description"] == "new"


# -- the dependencies --

def test_other_dependencies_end_as_an_import_with_them_does(update, model):
    former = details(model)
    done = update(pip("NumPy==1.26.4", "pillow"), "--json")
    assert done.returncode == 1, done
    updated = done.events[0]
    assert event_names(done.events) == ["DependenciesUpdated", *NO_SANDBOX]
    assert {event["attempt"] for event in done.events} == {2}
    assert_texts(updated)
    assert updated["evidence"] | {"actor": ""} == {
        "old": [], "new": ["numpy==1.26.4", "pillow"], "added": ["numpy==1.26.4", "pillow"],
        "removed": [], "changed": [], "actor": ""}
    refused = done.events[3]
    assert (refused["kind"], refused["stage"]) == ("no_sandbox", "environment")
    assert done.events[4]["cause"] == refused["seq"]
    shown = details(model)
    assert (shown["model_status"], shown["attempt"]) == ("building_failed", 2)
    assert shown["dependencies"] == pip("NumPy==1.26.4", "pillow")
    for key in ("image_address", "image_digest", "image_size", "layers", "model_size", "config"):
        assert shown[key] == former[key], "the former image stays usable"
    assert index_of(model.data)["default/m:0.0.1"] == former["image_digest"]
    assert_timeline(timeline(model))
    assert_store(model)


def test_what_was_added_removed_and_changed_is_told(update, model):
    update(pip("numpy==1.26.3", "scipy", "torch>=2.0") + pip("libgomp1", installer="apt"))
    update(pip("scipy", "Pillow==10.4.0", "NumPy==1.26.4", "torch"))
    evidence = timeline(model)[-5]["evidence"]
    assert evidence["added"] == ["pillow==10.4.0"]
    assert evidence["removed"] == ["apt: libgomp1"]
    assert evidence["changed"] == [{"package": "numpy", "from": "1.26.3", "to": "1.26.4"},
                                   {"package": "torch", "from": ">=2.0", "to": "any"}]
    assert evidence["old"] == ["numpy==1.26.3", "scipy", "torch>=2.0", "apt: libgomp1"]
    assert "reordered" not in evidence
    difference = json.loads(model.run("diff", "m@2", "m@3", "--json", check=True).stdout)
    assert [change["name"] for change in difference["dependencies"]] != []


def test_another_order_is_another_list(update, model):
    """The order of the packages is the order of their installation."""
    update(pip("numpy", "scipy"))
    done = update(pip("scipy", "numpy"), "--json")
    assert event_names(done.events)[0] == "DependenciesUpdated"
    assert done.events[0]["evidence"]["reordered"] is True


SAME = [
    (pip("numpy"), '[{"packages": [{"package_name": "numpy"}], "installer": "pip"}]', []),
    (pip("Pillow"), pip("pillow"), ["Pillow -> pillow"]),
    (pip("a_b.c"), pip("A-B--C"), ["a_b.c -> A-B--C"]),
    (pip("x[b,A]"), pip("x[a,b]"), ["x[b,A] -> x[a,b]"]),
    (pip("numpy"), pip("numpy", installer="PIP"), []),
    (pip("libc6", installer="apt"), pip("libc6", installer="APT"), ["apt: libc6 -> APT: libc6"]),
    (pip("a") + pip("b"), pip("a", "b"), []),
    (pip("a", "b"), pip("a") + [{"installer": "apt", "packages": []}] + pip("b"), []),
    (pip("a==1.0"), '[{"installer": "pip", "packages": [{"restraint": "EXACT", "package_version": '
                    '"1.0", "package_name": "A"}]}]', ["a -> A"]),
]


@pytest.mark.parametrize("before, after, differed", SAME)
def test_dependencies_that_differ_in_form_only_rebuild_nothing(update, model, before, after, differed):
    assert update(before).returncode == 1
    done = update(after, "--json", check=True)
    [event] = done.events
    assert event["reason"] == "DependenciesUnchanged"
    assert_texts(event)
    assert event["attempt"] == 0
    assert event["evidence"]["differed"] == differed
    assert "waybill retry m:0.0.1" in done.stderr, "their rebuild failed"
    assert details(model)["attempt"] == 2
    assert_timeline(timeline(model))


@pytest.mark.parametrize("before, after", [
    (pip("numpy"), pip("numpy==1.0")),
    (pip("numpy==1.0"), pip("numpy>=1.0")),
    (pip("libc6", installer="apt"), pip("libc6")),
    (pip("x"), pip("x[a]")),
    (pip("a", "b"), pip("a")),
])
def test_dependencies_that_differ_rebuild(update, model, before, after):
    update(before)
    assert event_names(update(after, "--json").events)[0] == "DependenciesUpdated"
    assert details(model)["attempt"] == 3


def test_none_where_there_were_none_rebuilds_nothing(update, model):
    [event] = update([], "--json", check=True).events
    assert event["reason"] == "DependenciesUnchanged"
    assert details(model)["model_status"] == "published"


def test_without_dependencies_again_it_is_built_of_the_same_layers(update, model, tmp_path):
    """Nothing of the package is read: it need not be there any more."""
    former = details(model)
    update(pip("numpy"))
    shutil.rmtree(tmp_path / "package")
    done = update([], "--description", "slim", "--json", check=True)
    assert event_names(done.events) == ["DescriptionUpdated", "DependenciesUpdated", *REBUILT]
    assert [event["attempt"] for event in done.events] == [0] + [3] * 9
    shown = details(model)
    assert (shown["model_status"], shown["dependencies"]) == ("published", [])
    assert shown["layers"] == former["layers"]
    assert shown["image_digest"] != former["image_digest"], "its label has the new description"
    assert index_of(model.data)["default/m:0.0.1"] == shown["image_digest"]
    assert shown["source_location"] == former["source_location"]
    assert_timeline(timeline(model))
    assert_store(model)


def test_where_a_packed_layer_was_lost_the_package_is_packed_again(update, model):
    update(pip("numpy"))
    [layer] = [layer["digest"] for layer in details(model)["layers"] if layer["origin"] == "model"]
    (model.data / "images/blobs/sha256" / layer.split(":")[1]).unlink()
    done = update([], "--json", check=True)
    assert event_names(done.events) == ["DependenciesUpdated", "ImportStarted",
                                        "ModelFilesImported", *REBUILT[1:]]
    assert_store(model)


def test_retry_of_a_failed_rebuild_builds_again_and_reads_nothing(update, model, tmp_path):
    update(pip("numpy"))
    shutil.rmtree(tmp_path / "package")
    again = model.run("retry", "m", "--json")
    assert again.returncode == 1 and event_names(again.events) == NO_SANDBOX, again
    assert {event["attempt"] for event in again.events} == {3}
    none = tmp_path / "none.json"
    none.write_text("[]")
    mended = model.run("retry", "m", "--dependencies", none, "--json")
    assert event_names(mended.events) == REBUILT, mended
    assert details(model)["dependencies"] == []


def test_retry_with_another_package_packs_that(update, model, package):
    update(pip("numpy"))
    other = package({"model/more.bin": "more"}, name="other")
    none = other / "none.json"
    none.write_text("[]")
    done = model.run("retry", "m", other, "--dependencies", none, "--json", check=True)
    assert event_names(done.events)[:4] == ["ImportStarted", "SourceChanged", "ModelSizeCalculated",
                                            "ModelFilesImported"]


def test_a_failed_import_is_retried_with_other_dependencies(ready, package, tmp_path):
    source = package(config={"dependencies": pip("numpy")})
    assert ready.run("import", source, "--name", "m").returncode == 1
    none = tmp_path / "none.json"
    none.write_text("[]")
    refused = ready.run("update", "m", "--dependencies", none)
    assert refused.returncode == 2 and "waybill retry m:0.0.1 --dependencies FILE" in refused.stderr
    done = ready.run("retry", "m", "--dependencies", none, "--json", check=True)
    assert event_names(done.events) == REBUILT, "packed it was already"
    assert details(ready)["dependencies"] == []
    assert json.loads(details(ready)["config"])["dependencies"] == pip("numpy")


def test_an_update_wins_over_config_json(ready, package, tmp_path):
    """Also when the version is imported again as it is."""
    source = package()
    ready.run("import", source, "--name", "m", check=True)
    file = tmp_path / "deps.json"
    file.write_text(json.dumps(pip("numpy")))
    ready.run("update", "m", "--dependencies", file)
    ready.run("retry", "m")
    assert details(ready)["dependencies"] == pip("numpy")
    shown = ready.run("show", "m", check=True).stdout
    assert "dependencies  pip: numpy\n" in shown


def test_the_package_again_is_not_what_an_update_made_of_it(ready, package, tmp_path):
    source = package(config={"dependencies": pip("numpy")})
    ready.run("import", source, "--name", "m")
    none = tmp_path / "none.json"
    none.write_text("[]")
    ready.run("retry", "m", "--dependencies", none, check=True)
    again = ready.run("import", source, "--name", "m", "--version", "0.0.1")
    assert again.returncode == 2, again
    assert "dependencies: an update gave m:0.0.1 others than the package has" in again.stderr
    replaced = ready.run("import", source, "--name", "m", "--version", "0.0.1", "--if-exists",
                         "retry", "--json")
    assert details(ready)["dependencies"] == pip("numpy"), "an import begins with config.json's"
    assert replaced.events[-1]["reason"] == "ImportFailed"


FAULTS = [
    (pip("a b", "-e"), ["/dependencies/0/packages/0/package_name", "/dependencies/0/packages/1"]),
    (pip("x.whl"), ["x.whl is named as a wheel, but is not in the model folder"]),
    (pip("c==1")[0], ["/dependencies is", "an array of {installer, packages}"]),
    ("[{", ["is not JSON"]),
    ('[{"installer": "pip", "installer": "apt", "packages": []}]', ["/dependencies/0/installer"]),
]


@pytest.mark.parametrize("dependencies, words", FAULTS)
def test_faulty_dependencies_are_refused_with_their_place(update, model, dependencies, words):
    before = timeline(model)
    refused = update(dependencies, "--description", "a<b")
    assert refused.returncode == 2, refused
    assert "/depend" in refused.stderr and "--description" in refused.stderr
    for word in words:
        assert word in refused.stderr, refused
    assert timeline(model) == before and details(model)["description"] == ""


def test_a_wheel_of_the_package_is_found(ready, package, tmp_path):
    ready.run("import", package({"model/x-1.0-py3-none-any.whl": "wheel"}), "--name", "m", check=True)
    file = tmp_path / "deps.json"
    file.write_text(json.dumps(pip("x-1.0-py3-none-any.whl")))
    assert event_names(ready.run("update", "m", "--dependencies", file, "--json").events)[0] == \
        "DependenciesUpdated"


@pytest.mark.parametrize("arguments, status, words", [
    (["m"], 2, "give --description, --dependencies or both"),
    (["m", "--dependencies", "/nowhere.json"], 2, "/nowhere.json"),
    (["nobody", "--description", "x"], 1, "there is no model nobody"),
    (["m", "--description", "x" * 101], 2, "at most 100 characters"),
])
def test_wrong_usage_is_told(model, arguments, status, words):
    done = model.run("update", *arguments)
    assert done.returncode == status and words in done.stderr, done


def test_dependencies_come_from_standard_input_too(model):
    done = subprocess.run([model.program, "update", "m", "--dependencies", "-"], text=True,
                          input="[]", env=model.environment, capture_output=True, timeout=60)
    assert done.returncode == 0 and "not updated" in done.stdout, done


def test_a_custom_image_takes_no_dependencies(ready, base_layout, tmp_path):
    ready.run("import", f"oci:{base_layout}:latest", "--type", "Image", "--name", "m", check=True)
    file = tmp_path / "deps.json"
    file.write_text(json.dumps(pip("numpy")))
    refused = ready.run("update", "m", "--dependencies", file)
    assert refused.returncode == 2
    assert "Customize model does not support dependencies." in refused.stderr, refused
    file.write_text("[]")
    ready.run("update", "m", "--dependencies", file, check=True)
    assert event_names(timeline(ready))[-1] == "DependenciesUnchanged"


@pytest.mark.parametrize("count", range(1, 9))
def test_a_killed_rebuild_is_resumed(update, model, tmp_path, count):
    update(pip("numpy"))
    none = tmp_path / "none.json"
    none.write_text("[]")
    process = model.start("update", "m", "--dependencies", none, "--json")
    seen = [json.loads(process.stdout.readline()) for _ in range(count)]
    process.kill()
    finish(process)
    if details(model)["model_status"] == "building":
        refused = model.run("update", "m", "--dependencies", none)
        assert refused.returncode == 2 and "waybill cancel m:0.0.1" in refused.stderr, refused
    model.run("retry", "m", check=True)
    events = timeline(model)
    mine = [event for event in events if event["attempt"] == 3]
    assert mine[:count] == seen
    assert [name for name in event_names(mine) if name != "ImportResumed"] == \
        ["DependenciesUpdated", *REBUILT]
    assert_timeline(events)
    assert details(model)["model_status"] == "published"
    assert_store(model)


def test_a_rebuild_in_the_background(update, model):
    done = update(pip("numpy"), "--detach", check=True)
    assert done.stdout == "rebuilding m:0.0.1; follow it: waybill events m:0.0.1 --follow\n"
    waited = model.run("wait", "m")
    assert waited.returncode == 1 and "building_failed" in waited.stdout, waited
    assert event_names(timeline(model))[-5:] == ["DependenciesUpdated", *NO_SANDBOX]


def test_cancel_of_an_interrupted_rebuild_ends_it(update, model, tmp_path):
    update(pip("numpy"))
    none = tmp_path / "none.json"
    none.write_text("[]")
    process = model.start("update", "m", "--dependencies", none, "--json")
    process.stdout.readline()
    process.kill()
    finish(process)
    if details(model)["model_status"] == "building":
        model.run("cancel", "m", check=True)
        assert event_names(timeline(model))[-2:] == ["ImportCancelled", "ImportFailed"]
        assert details(model)["model_status"] == "building_failed"
    assert_timeline(timeline(model))
    assert details(model)["image_digest"]


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
    assert event_names(events)[-6:] == ["DescriptionUpdated", "DependenciesUpdated", *NO_SANDBOX]
    for event in events[-6:-4]:
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
            ({"no_cache": True, "load_mode": "dynamic"}, "ModelArts.0104",
             ["no_cache is not a field of this version", "load_mode is not a field"]),
            ({"from": "build"}, "ModelArts.0104", ["from build: attempt 1"]),
            ({"initial_config": "{"}, "ModelArts.3015", ["initial_config:1:2: found the end"]),
            ({"initial_config": "{}", "dependencies": [1]}, "ModelArts.3016",
             ["model_algorithm is missing", "dependencies[0] is 1"]),
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
