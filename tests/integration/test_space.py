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


def test_du_tells_how_much_of_it_a_project_has(ready, package):
    ready.run("import", packed(package, "first"), "--name", "first", check=True)
    [row] = [one for one in ready.run("du", "--json", "--set", ONE_MIB, check=True).events if one["kind"] == "project"]
    assert row["limit_bytes"] == MIB < row["bytes"]
    share = int(100 * row["bytes"] / MIB)
    assert f"project default: versions 1, {share} % of 1.0 MiB\n" in ready.run("du", "--set", ONE_MIB, check=True).stdout
    assert f"项目 default:1 个版本,占 1.0 MiB 的 {share}%\n" in ready.run(
        "du", "--set", ONE_MIB, "--lang", "zh", check=True).stdout
    assert "limit_bytes" not in ready.run("du", "--json", check=True).stdout


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


# -- the disk's free space --

FULL = "store.min_free_gib=8000000"


def test_below_the_free_space_that_is_kept_no_import_begins(ready, package):
    source = package()
    refused = ready.run("import", source, "--name", "m", "--set", FULL, "--json")
    told = throttled(refused, "disk_watermark")
    assert_answered(ready, told)
    assert told["evidence"]["free"] < told["evidence"]["limit"] == 8000000 << 30
    assert (told["stage"], told["fix_by"]) == ("check", "wait")
    ready.run("retry", "m", check=True)
    ready.run("import", source, "--name", "n", "--set", "store.min_free_gib=0.001", check=True)
    assert_timeline(ready.run("events", "m", "--json").events)


def test_both_limits_are_told_at_once(ready, package):
    ready.run("import", packed(package, "first"), "--name", "first", check=True)
    result = ready.run("import", packed(package, "m"), "--set", FULL, "--set", ONE_MIB, "--json")
    assert [event.get("kind") for event in result.events[-3:-1]] == ["disk_watermark",
                                                                    "project_storage"]
    assert result.events[-1]["causes"] == [2, 3]


def test_a_server_below_it_takes_no_upload_and_begins_no_import(ready, package, tmp_path):
    server = Server(ready, tmp_path, "--set", FULL)
    upload = server.ask("POST", "/v1/default/uploads").json["upload_id"]
    answer = server.ask("PUT", f"/v1/default/uploads/{upload}/files/model/a", b"x")
    assert answer.status == 507 and "store.min_free_gib" in answer.json["error_msg"], answer
    pushed = server.ask("POST", "/v2/default/m/blobs/uploads/")
    assert pushed.status == 507, pushed
    model = server.create(package(), name="m").json["model_id"]
    assert server.settled(model)["failure"]["reason"] == "ImageBuildThrottled"
    assert server.stop() == 0


def test_an_import_that_runs_goes_on_below_it(ready, package, tmp_path):
    """It has begun: what is left of the disk is for those."""
    source = package({"model/pipe.bin": 64 * MIB})
    process = ready.start("import", source, "--name", "m", "--json")
    for line in process.stdout:
        if "ModelSizeCalculated" in line:
            break
    process.kill()
    process.communicate()
    if ready.run("events", "m", "--json").events[-1]["reason"] == "ModelImported":
        return  # it was faster
    ready.run("retry", "m", "--set", FULL, check=True)
    assert {event["attempt"] for event in ready.run("events", "m", "--json").events} == {1}


def test_doctor_says_that_no_import_begins(ready):
    checks = ready.run("doctor", "--set", FULL, "--json").events
    [space] = [check for check in checks if check["id"] == "free-space"]
    assert space["status"] == "warn" and "store.min_free_gib" in space["found"], space
