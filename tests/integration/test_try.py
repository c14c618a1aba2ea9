"""Images that really run: `waybill try`, and the proof before an import counts."""
import json

import pytest

from corpus_runner import assert_answered
from environments import (SERVE, builder, bring, failed, fresh_builder, left_behind, python_layout,
                          reasons)  # noqa: F401


def serving(package, text=SERVE, health=200, name="package"):
    return package({"model/serve.py": f"HEALTH = {health}\n" + text}, name=name)


@pytest.fixture
def served(builder, package):
    builder.run("import", serving(package), "--name", "served", check=True)
    return builder


def test_an_image_answers(served, tmp_path):
    done = served.run("try", "served", "--input", '{"numbers": [1, 2, 39]}', check=True)
    assert json.loads(done.stdout) == {"path": "/", "sum": 42}
    assert "ready after" in done.stderr and "POST / answered 200" in done.stderr
    file = tmp_path / "input.json"
    file.write_text('{"numbers": [7]}')
    done = served.run("try", "served", "--input", f"@{file}", "--path", "/predict?a=b", check=True)
    assert json.loads(done.stdout) == {"path": "/predict?a=b", "sum": 7}
    done = served.run("try", "served", "--quiet", check=True)
    assert json.loads(done.stdout) == {"path": "/health"} and not done.stderr
    assert not left_behind(served)


def test_a_request_that_fails_shows_the_container(served):
    done = served.run("try", "served", "--input", '{"boom": 1}')
    assert done.returncode == 1 and json.loads(done.stdout) == {"error": "boom"}
    assert "| serving as 1000 100" in done.stderr and "| it went boom" in done.stderr
    assert not left_behind(served)


def test_wrong_usage(served, tmp_path):
    assert served.run("try", "served", "--path", "nowhere").returncode == 2
    assert served.run("try", "served", "--input", f"@{tmp_path}/none").returncode == 2
    assert served.run("try", "nosuch").returncode == 1


def test_a_verified_import_says_so(builder, package):
    done = builder.run("import", serving(package), "--name", "proven", "--verify", "--json")
    assert done.returncode == 0 and done.events[-1]["reason"] == "ModelImported", str(done)
    assert "verified: it serves" in builder.run("log", "proven").stdout
    assert not left_behind(builder)


def test_an_image_whose_command_ends(builder, package):
    source = serving(package, "import nosuchmodule\n")
    told = failed(builder, source, "ImageVerifyFailed", "exited", "exits", "--verify")
    assert told["params"] == {"what": "it exited with status 1"} and told["stage"] == "verify"
    assert told["evidence"]["exit_status"] == 1
    assert "ModuleNotFoundError: No module named 'nosuchmodule'" in told["evidence"]["error_lines"]
    assert_answered(builder, told)
    done = builder.run("try", "exits")
    assert done.returncode == 1, "a failed attempt has no image to try, or one that does not serve"


def test_an_image_whose_health_is_bad(builder, package):
    told = failed(builder, serving(package, health=500), "ImageVerifyFailed", "unhealthy", "ill",
                  "--verify", "--set", "build.ready_seconds=2")
    assert told["params"] == {"what": "GET /health answered 500"}
    assert_answered(builder, told)
    assert not left_behind(builder)


def test_an_image_that_does_not_listen(builder, package):
    told = failed(builder, serving(package, "import time\ntime.sleep(100)"), "ImageVerifyFailed",
                  "silent", "silent", "--set", "build.verify=true", "--set",
                  "build.ready_seconds=2")
    assert told["params"] == {"what": "nothing listened on 8080 within 2 s"}
    assert_answered(builder, told)
    assert not left_behind(builder)


def test_a_failed_proof_is_retried_with_better_code(builder, package):
    source = serving(package, "raise SystemExit(3)")
    failed(builder, source, "ImageVerifyFailed", "exited", "better", "--verify")
    (source / "model/serve.py").write_text("HEALTH = 200\n" + SERVE)
    again = builder.run("retry", "better", "--json")
    assert again.returncode == 0, str(again)
    assert reasons(again.events)[-1] == "ModelImported"
