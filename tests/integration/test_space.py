"""What is done where room is short: a project's storage, the disk's."""
import json
import os

from corpus_runner import assert_answered
from serving import Server
from wholeness import assert_store, assert_timeline, event_names

MIB = 1 << 20


def packed(package, name, size=MIB, config=None):
    """A package of as many bytes that no other one has."""
    return package({"model/weights.bin": os.urandom(size)}, config=config, name=name)


def throttled(result, kind):
    """The event that ended the import that began last."""
    assert result.returncode == 1, str(result)
    names = event_names(result.events)
    assert names[-3:] == ["ImportStarted", "ImageBuildThrottled", "ImportFailed"], str(result)
    told, last = result.events[-2:]
    assert told["kind"] == kind and last["cause"] == told["seq"] and told["retryable"]
    return told


# -- a project's storage --

ONE_MIB = f"limits.project_storage_gib={1 / 1024}"


def test_a_project_whose_images_take_its_storage_gets_no_new_import(ready, package):
    first = packed(package, "first")
    ready.run("import", first, "--name", "first", "--set", ONE_MIB, check=True)
    second = packed(package, "second")
    refused = ready.run("import", second, "--name", "second", "--set", ONE_MIB, "--json")
    told = throttled(refused, "project_storage")
    assert_answered(ready, told)
    assert told["evidence"]["used"] > told["evidence"]["limit"] == MIB
    assert told["evidence"]["setting"] == "limits.project_storage_gib"
    assert told["summary"].startswith("The images of default take 1.0 MiB of 1.0 MiB"), told
    assert (told["stage"], told["fix_by"]) == ("check", "you")
    # Another project has its own; and what it had itself counts for nobody's next attempt.
    ready.run("import", second, "--project", "other", "--set", ONE_MIB, check=True)
    ready.run("import", first, "--name", "first", "--version", "0.0.1", "--set", ONE_MIB, check=True)
    assert ready.run("retry", "second", "--set", ONE_MIB).returncode == 1
    ready.run("delete", "first", check=True)
    ready.run("retry", "second", "--set", ONE_MIB, check=True)
    assert_timeline(ready.run("events", "second", "--json").events)
    assert_store(ready)


def test_what_two_models_share_counts_once(ready, package):
    """The base and the weights are there once, however many models have them."""
    room = "limits.project_storage_gib=%f" % (1.5 / 1024)
    source = packed(package, "shared")
    for name in "abc":
        ready.run("import", source, "--name", name, "--set", room, check=True)


def test_who_has_to_mend_his_package_first_is_told_that(ready, package):
    ready.run("import", packed(package, "first"), "--name", "first", check=True)
    wrong = packed(package, "wrong", config={"model_type": "Nonsense"})
    result = ready.run("import", wrong, "--set", ONE_MIB, "--json")
    assert result.returncode == 1 and "ImageBuildThrottled" not in event_names(result.events)


def test_a_failed_model_does_not_stand_in_its_own_way(ready, package):
    """Its layers are kept for a retry, which they must not refuse."""
    source = packed(package, "m", 2 * MIB, config={"dependencies": [
        {"installer": "pip", "packages": [{"package_name": "numpy"}]}]})
    failed = ready.run("import", source, "--name", "m", "--set", ONE_MIB, "--json")
    assert failed.returncode == 1 and "ModelFilesImported" in event_names(failed.events), str(failed)
    again = ready.run("retry", "m", "--set", ONE_MIB, "--json")
    assert "ImageBuildThrottled" not in event_names(again.events)


def test_a_rebuild_needs_room_too(ready, package, tmp_path):
    for name in "ab":
        ready.run("import", packed(package, name), "--name", name, check=True)
    dependencies = tmp_path / "dependencies.json"
    dependencies.write_text(json.dumps([
        {"installer": "pip", "packages": [{"package_name": "numpy"}]}]))
    result = ready.run("update", "a", "--dependencies", dependencies, "--set", ONE_MIB, "--json")
    told = throttled(result, "project_storage")
    assert told["stage"] == "environment"
    assert_timeline(ready.run("events", "a", "--json").events)


def test_a_server_says_it_in_the_timeline(ready, package, tmp_path):
    server = Server(ready, tmp_path, "--set", ONE_MIB)
    first = server.create(packed(package, "first"), name="first").json["model_id"]
    assert server.settled(first)["model_status"] == "published"
    second = server.create(packed(package, "second"), name="second").json["model_id"]
    details = server.settled(second)
    assert details["model_status"] == "failed"
    assert details["failure"]["reason"] == "ImageBuildThrottled"
    assert server.stop() == 0
