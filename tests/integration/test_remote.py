"""The commands against a server: what they show is what they show of the data directory."""
import json
import re
import signal
import time

import pytest

from conftest import finish

MIB = 1 << 20


@pytest.fixture
def models(server, ready, package):
    """m:0.0.1 was imported; m:0.0.2 failed, then worked, then its description failed; bad failed."""
    good = package({"model/weights.bin": "weights", "model/gone.bin": "gone"})
    ready.run("import", good, "--name", "m", check=True)
    other = package({"model/weights.bin": "WEIGHTS"}, name="other",
                    config={"model_algorithm": "other", "model_type": "Custom"})
    ready.run("import", other, "--name", "m", check=True)
    bad = package({"model/weights.bin": "x"}, name="bad", config={"model_type": "Nonsense"})
    assert ready.run("import", bad, "--name", "bad").returncode == 1
    ready.run("import", good, "--name", "gone", check=True)
    ready.run("delete", "gone", check=True)
    return server


def url(server):
    return f"http://{server.netloc}"


COMMANDS = [["models"], ["models", "--json"], ["models", "--name", "ba", "--status", "failed"],
            ["events", "m"], ["events", "bad", "--type", "problems"], ["events", "m:0.0.1", "--json"],
            ["events", "m", "--after", "5"], ["events", "m", "--follow"],
            ["show", "m"], ["show", "bad", "--json"], ["log", "m"], ["log", "bad"],
            ["explain", "bad"], ["explain", "bad#2"], ["explain", "m#1", "--json"],
            ["explain", "nothing"], ["explain", "m#99"], ["wait", "bad"], ["wait", "m"],
            ["diff", "m:0.0.1", "m"], ["diff", "m"], ["diff", "m", "m:0.0.1@1", "--json"],
            ["diff", "bad"], ["diff", "m@7"], ["show", "nothing"], ["events", "m:9.9.9"],
            ["cancel", "m"], ["retry", "m"], ["models", "--deleted"], ["events", "gone", "--deleted"],
            ["events", "m", "--deleted"],
            ["events", "--all"], ["events", "--all", "--type", "problems", "--limit", "1"],
            ["events", "--all", "--reason", "ImportFailed", "--since", "1h", "--json"]]


def alike(text):
    """Without what only a server says (where its page of a failure is), or never (where its images
    are on its disk)."""
    return re.sub(r',"url":"http://[^"]*"|oci:/[^ ]*/images:|file://', "", text)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_shown_is_the_same(models, ready, language):
    for command in COMMANDS:
        here = ready.run(*command, "--lang", language)
        there = ready.run(*command, "--lang", language, "--server", url(models))
        assert there.returncode == here.returncode, f"{here}\n{there}"
        assert alike(there.stdout) == alike(here.stdout), f"{here}\n{there}"
        if "diff" not in command and "log" not in command:
            assert there.stderr == here.stderr, f"{here}\n{there}"


def test_server_is_named_by_the_environment(models, ready):
    named = ready.run("models", "--json", env={"WAYBILL_SERVER": url(models),
                                                       "WAYBILL_DATA": ""})
    assert len(named.stdout.splitlines()) == 3, str(named)
    own = ready.run("gc", env={"WAYBILL_SERVER": url(models)})
    assert own.returncode == 0, "what works on a data directory is not asked of a server"


@pytest.mark.parametrize("arguments, words", [
    (["gc", "--server", "http://127.0.0.1:1"], "works on a data directory"),
    (["models", "--server", "ftp://x"], "expected an address such as"),
    (["models", "--server", "http://127.0.0.1:1", "--data", "/tmp"], "exclude each other")])
def test_wrong_use_is_refused(ready, arguments, words):
    refused = ready.run(*arguments)
    assert refused.returncode == 2 and words in refused.stderr, str(refused)


def test_server_that_is_not_there(ready):
    gone = ready.run("models", "--server", "http://127.0.0.1:1")
    assert gone.returncode == 3 and "http://127.0.0.1:1 cannot be reached" in gone.stderr, str(gone)


def test_something_else_answers(ready, tmp_path):
    import http.server
    import threading
    other = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{other.server_port}"
    asked = ready.run("models", "--server", address)
    other.shutdown()
    assert asked.returncode == 3 and "not as a waybill server" in asked.stderr, str(asked)


def test_delete_and_retry_over_the_server(models, ready):
    server = ["--server", url(models)]
    again = ready.run("retry", "bad", "--json", *server)
    assert again.returncode == 1 and again.events[-1]["reason"] == "ImportFailed", str(again)
    assert again.events[0]["attempt"] == 2
    deleted = ready.run("delete", "m", "--all-versions", *server, check=True)
    assert sorted(deleted.stdout.splitlines()) == ["deleted m:0.0.1", "deleted m:0.0.2"]
    assert [json.loads(line)["model_name"] for line in
            ready.run("models", "--json", *server).stdout.splitlines()] == ["bad"]


def running(server, ready, package):
    source = package({"model/weights.bin": 4096 * MIB}, name="large")
    model_id = server.create(source, name="large").json["model_id"]
    while len(ready.run("events", "large", "--json", "--server", url(server)).events) < 2:
        time.sleep(0.02)
    return model_id


def test_follow_shows_the_end_of_what_runs(server, ready, package):
    running(server, ready, package)
    process = ready.start("events", "large", "--follow", "--json", "--server", url(server))
    first = json.loads(process.stdout.readline())
    assert first["seq"] == 1
    assert ready.run("cancel", "large", "--server", url(server)).returncode == 0
    status, stdout, _ = finish(process)
    seqs = [first["seq"]] + [json.loads(line)["seq"] for line in stdout.splitlines()]
    assert status == 0 and seqs == list(range(1, len(seqs) + 1)), stdout


def test_wait_has_an_end_in_time(server, ready, package):
    running(server, ready, package)
    out_of_time = ready.run("wait", "large", "--timeout", "1s", "--server", url(server))
    assert out_of_time.returncode == 1 and "has not ended within 1 s" in out_of_time.stderr
    assert ready.run("cancel", "large", "--server", url(server)).returncode == 0
    assert ready.run("wait", "large", "--server", url(server)).returncode == 1


def test_ctrl_c_only_detaches(server, ready, package):
    model_id = running(server, ready, package)
    server.ask("POST", f"/v1/default/models/{model_id}/cancel", {})
    server.settled(model_id)
    process = ready.start("retry", "large", "--json", "--server", url(server))
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    status, _, stderr = finish(process)
    assert status == 130 and "the server goes on with it" in stderr, stderr
    assert server.get(f"/models/{model_id}").json["model_status"] == "publishing"
    server.ask("POST", f"/v1/default/models/{model_id}/cancel", {})


def test_update_over_the_server(models, ready, tmp_path):
    server = ["--server", url(models)]
    changed = ready.run("update", "m:0.0.1", "--description", "the first", "--json", *server)
    assert [event["reason"] for event in changed.events] == ["DescriptionUpdated"], str(changed)
    assert "the first" in ready.run("show", "m:0.0.1", *server).stdout
    same = ready.run("update", "m:0.0.1", "--description", "the first", *server)
    assert same.returncode == 0 and "nothing was changed" in same.stderr, str(same)
    needs = tmp_path / "needs.json"
    needs.write_text(json.dumps([{"installer": "pip", "packages": [
        {"package_name": "numpy", "package_version": "1.26.4", "restraint": "EXACT"}]}]))
    rebuilt = ready.run("update", "m:0.0.1", "--dependencies", needs, "--json", *server)
    assert rebuilt.returncode == 1, str(rebuilt)
    assert [event["reason"] for event in rebuilt.events][0] == "DependenciesUpdated"
    assert rebuilt.events[-1]["reason"] == "ImportFailed"
    needs.write_text("{")
    assert ready.run("update", "m:0.0.1", "--dependencies", needs, *server).returncode == 2


def test_a_mended_folder_is_sent_again(server, ready, package):
    address = ["--server", url(server)]
    source = package(config={"model_type": "Custom", "model_algorithm": 7})
    assert ready.run("import", source, "--name", "m", *address).returncode == 1
    (source / "model/config.json").write_text('{"model_algorithm": "t", "model_type": "Custom"}')
    mended = ready.run("retry", "m", source, "--json", *address)
    assert mended.returncode == 0, str(mended)
    assert {event["attempt"] for event in mended.events} == {2}


def test_a_failed_version_is_used_again(server, ready, package):
    address = ["--server", url(server)]
    source = package()
    bad = package(name="bad", config={"model_type": "Nonsense"})
    model_id = server.create(bad, name="m").json["model_id"]
    server.settled(model_id)
    again = ready.run("import", source, "--name", "m", "--json", *address)
    assert again.returncode == 0 and again.events[0]["attempt"] == 2, str(again)
    nexts = ready.run("import", source, "--name", "m", "--json", "--detach", *address)
    assert json.loads(nexts.stdout)["model_version"] == "0.0.2", str(nexts)
    server.settled(json.loads(nexts.stdout)["model_id"])
