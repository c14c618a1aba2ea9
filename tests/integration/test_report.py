"""report: one file to send on, with everything that helps and nothing that is secret."""
import re
import sqlite3

import pytest

from conftest import write_package

SECRET = "hunter2"  # part of every secret below
AWS_KEY = "AKIAIOSFODNN7EXAMPLE"

CONFIG = {
    "model_algorithm": "test", "model_type": "Nonsense",
    "password": "hunter2-config", "nested": {"api_keys": ["hunter2-list"], "secret": {"a": "hunter2"}},
    "url": "https://bob:hunter2@internal.example/x?token=hunter2&n=1",
    "note": "Authorization: Bearer hunter2-abcdefgh",
    "dependencies": [{"installer": "pip", "packages": [
        {"package_name": "https://bob:hunter2@pypi.example/x.whl", "package_version": "1",
         "restraint": "password=hunter2"}]}],
}


@pytest.fixture
def secretive(ready, tmp_path):
    """A failed import that has secrets wherever its user can put them."""
    source = write_package(tmp_path / "home/models/m", {
        "model/config.json": CONFIG, "model/password=hunter2-file.bin": "x",
        f"model/weights-{AWS_KEY}.bin": "x" * 200})
    ready.environment["HOME"] = str(tmp_path / "home")
    ready.environment["WAYBILL_IMAGE_HEALTH_URL"] = "/health?token=hunter2-setting"
    done = ready.run("import", source, "--name", "m", "--description",
                     "see https://bob:hunter2@h/ token:hunter2-description",
                     "--set", "limits.model_file_gib=0.0000001")
    assert done.returncode == 1 and SECRET in done.stdout and AWS_KEY in done.stdout
    with sqlite3.connect(ready.data / "waybill.db") as store:
        [[model_id]] = store.execute("SELECT id FROM models")
        for line, text in enumerate(
                ["line %d" % number for number in range(300)]
                + ["-----BEGIN PRIVATE KEY-----", *["hunter2abc"] * 30, "-----END PRIVATE KEY-----"]
                + ["line %d" % number for number in range(180)] + ["Looking in indexes: https://bob:hunter2@pypi.example/simple",
                   "PIP_PASSWORD=hunter2", "-----BEGIN PRIVATE KEY-----", "hunter2",
                   "-----END PRIVATE KEY-----", "the end"], 1):
            store.execute("INSERT INTO build_log VALUES (?, 1, ?, 0, 'stdout', ?)",
                          (model_id, line, text))
    store.close()
    return ready


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_secret_is_in_it(secretive, language):
    text = secretive.run("report", "m", "--lang", language, check=True).stdout
    leaks = [line for line in text.splitlines() if SECRET in line or AWS_KEY in line]
    assert leaks == []
    assert text.count("***") > 10
    assert "https://***@pypi.example/simple" in text, "what is not secret stays"
    assert '"password": "***"' in text and "weights-***.bin" in text


def test_directories_of_the_user_are_not_named(secretive, tmp_path):
    text = secretive.run("report", "m", check=True).stdout
    assert str(tmp_path / "home") not in text and str(secretive.data) not in text
    assert "directory: ~/models/m\n" in text


def test_it_tells_what_helps(secretive):
    text = secretive.run("report", "m", check=True).stdout
    headings = re.findall(r"^#+ .*", text, re.M)
    assert headings == ["# Waybill report: m:0.0.1", "## Model", "## Problem", "## Attempt 1",
                        "### Events", "### Config of the newest attempt", "## Build log",
                        "## Runtimes", "## Settings", "## Program and machine"]
    for part in (r"status: failed", r"ConfigValueInvalid value\n", r"problem: /model_type is",
                 r"to do: 1\. ", r"solution: ", r'evidence: \{.*"found":"\\"Nonsense\\""',
                 r'   3 \|   "model_type": "Nonsense",', r"cause: #2", r"limits\.model_gib = 20  \(default\)",
                 r"waybill: 0\.1\.0 \(schema \d+\)", r"SQLite 3\.", r"kernel: Linux"):
        assert re.search(part, text), part
    log = text[text.index("## Build log"):text.index("## Runtimes")]
    lines = [line for line in log.splitlines() if line.startswith("    ")]
    assert len(lines) == 200 and lines[-1].endswith("the end") and "hunter2" not in log and "-----END" in lines[13]


def test_user_text_is_no_markup(ready, package):
    source = package(config={"model_algorithm": "test", "model_type": "# x\n- <img src=x>"})
    assert ready.run("import", source, "--name", "m").returncode == 1
    text = ready.run("report", "m", check=True).stdout
    marked = [line for line in text.splitlines() if "<img" in line]
    assert marked and all(line.startswith("    ") for line in marked)


def test_every_attempt_and_what_changed_is_told(ready, package):
    source = package()
    ready.run("import", source, "--name", "m", check=True)
    write_package(source, {"model/weights.bin": "WEIGHTS!",
                           "model/config.json": {"model_algorithm": "test", "model_type": "No"}})
    assert ready.run("import", source, "--name", "m").returncode == 1
    write_package(source, {"model/config.json": {"model_algorithm": "test",
                                                 "model_type": "Custom"}})
    ready.run("retry", "m", check=True)
    text = ready.run("report", "m", check=True).stdout
    assert re.findall(r"^## Attempt (\d)", text, re.M) == ["2", "1"]
    assert re.search(r"## What changed\n\n    Since 0\.0\.1 \(worked .*1 file changed", text)
    assert re.search(r"    \d{4}-.*Z waybill  layer sha256:", text), "the log's lines"
    assert "ModelImported" in text and "ImportFailed" in text


def test_in_chinese(ready, package):
    assert ready.run("import", package(config={"model_type": "No"}), "--name", "m").returncode == 1
    text = ready.run("report", "m", "--lang", "zh", check=True).stdout
    for part in ("# Waybill 报告:m:0.0.1", "## 模型", "## 第 1 次尝试", "问题: ", "处理: 1. "):
        assert part in text, part


def test_file_is_written_whole_or_not_at_all(ready, package, tmp_path):
    ready.run("import", package(), "--name", "m", check=True)
    file = tmp_path / "report.md"
    file.write_text("before")
    done = ready.run("report", "m", "-o", file, check=True)
    assert done.stdout == "" and str(file) in done.stderr
    assert file.read_text().startswith("# Waybill report: m:0.0.1\n")
    assert [path.name for path in tmp_path.glob("*.tmp")] == []
    nowhere = tmp_path / "nowhere/report.md"
    done = ready.run("report", "m", "--output", nowhere)
    assert done.returncode == 2 and str(nowhere) in done.stderr and done.stdout == ""
    done = ready.run("report", "m", "-o", tmp_path)
    assert done.returncode == 2 and "not a file" in done.stderr
    done = ready.run("report", "nobody", "-o", tmp_path / "none.md")
    assert done.returncode == 1 and not (tmp_path / "none.md").exists()
