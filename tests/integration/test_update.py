"""`waybill update`, and what the rebuild that other dependencies begin leaves behind."""
import json
import shutil
import subprocess

import pytest

from conftest import finish
from updates import REBUILT, NO_SANDBOX, pip, model, update, timeline, details, assert_texts
from wholeness import assert_store, assert_timeline, event_names, index_of


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
    refused = done.events[4]
    assert (refused["kind"], refused["stage"]) == ("no_sandbox", "environment")
    assert done.events[-1]["cause"] == refused["seq"]
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
    evidence = timeline(model)[-7]["evidence"]
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
    assert "dependencies" in refused.stderr and "--description" in refused.stderr
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
    assert event_names(timeline(model))[-7:] == ["DependenciesUpdated", *NO_SANDBOX]


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
