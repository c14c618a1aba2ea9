"""diff: what changed between versions and attempts, and since it last worked."""
import hashlib
import json
import os
import re
import sqlite3
from pathlib import Path

import pytest

from conftest import write_package
from terminal import run_on_terminal, shown_lines, width

SPINE = Path(__file__).parents[2] / "src/store/schema/0001-spine.sql"
CONFIG = {"model_algorithm": "test", "model_type": "Custom"}


def numpy(version):
    return {"dependencies": [{"installer": "pip", "packages": [
        {"package_name": "numpy", "package_version": version, "restraint": "EXACT"}]}]}


def diff(waybill, *arguments):
    done = waybill.run("diff", *arguments, "--json", check=True)
    [line] = done.stdout.splitlines()
    return json.loads(line)


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def rewrite(source, files):
    for path, content in files.items():
        (source / path).unlink(missing_ok=True)
    write_package(source, {path: content for path, content in files.items()
                           if content is not None})


@pytest.fixture
def source(package):
    return package(files={"model/gone.bin": "gone", "model/same.bin": "same"})


def test_versions_differ_by_lines_and_by_digests(ready, source):
    ready.run("import", source, "--name", "m", check=True)
    rewrite(source, {"model/config.json": CONFIG | {"metrics": {"accuracy": 0.5}},
                     "model/weights.bin": "WEIGHTS", "model/gone.bin": None,
                     "model/new.bin": "new"})
    ready.run("import", source, "--name", "m", check=True)
    found = diff(ready, "m:0.0.1", "m")
    assert (found["old"]["model_version"], found["new"]["model_version"]) == ("0.0.1", "0.0.2")
    assert found["old"]["outcome"] == found["new"]["outcome"] == "imported"
    assert not found["equal"] and found["unknown"] == []
    assert found["config"] == {"removed": 1, "added": 4, "lines": [
        "@@ -1,4 +1,7 @@", " {", '   "model_algorithm": "test",', '-  "model_type": "Custom"',
        '+  "model_type": "Custom",', '+  "metrics": {', '+    "accuracy": 0.5', "+  }", " }"]}
    assert found["files"] == [
        {"change": "removed", "path": "model/gone.bin", "size": {"old": 4},
         "digest": {"old": digest("gone"), "new": None}},
        {"change": "added", "path": "model/new.bin", "size": {"new": 3},
         "digest": {"old": None, "new": digest("new")}},
        {"change": "changed", "path": "model/weights.bin", "size": {"old": 7, "new": 7},
         "digest": {"old": digest("weights"), "new": digest("WEIGHTS")}}]
    assert found["files_same"] == 1 and found["facts"] == {} and found["dependencies"] == []
    assert diff(ready, "m") == found, "without B: since it last worked"


def test_text_is_like_a_diff(ready, source):
    ready.run("import", source, "--name", "m", check=True)
    rewrite(source, {"model/config.json": CONFIG | {"model_algorithm": "other"},
                     "model/weights.bin": "longer than before", "model/gone.bin": None,
                     "model/new.bin": "new"})
    ready.run("import", source, "--name", "m", check=True)
    lines = ready.run("diff", "m", check=True).stdout.splitlines()
    assert re.match(r"--- m:0\.0\.1@1  imported \d{4}-.*Z  /.*package$", lines[0])
    assert lines[1].startswith("+++ m:0.0.2@1  imported ")
    short = {text: digest(text)[:19] for text in ("weights", "longer than before")}
    assert lines[2:] == [
        "config.json", "@@ -1,4 +1,4 @@", " {", '-  "model_algorithm": "test",',
        '+  "model_algorithm": "other",', '   "model_type": "Custom"', " }",
        "files", "- model/gone.bin 4 B", "+ model/new.bin 3 B",
        "~ model/weights.bin 7 B -> 18 B (%s -> %s)" % (short["weights"], short["longer than before"]),
        "  the same: 1"]


def test_equal_versions_are_one_line(ready, source):
    for _ in range(2):
        ready.run("import", source, "--name", "m", check=True)
    assert ready.run("diff", "m", check=True).stdout == \
        "m:0.0.1@1 and m:0.0.2@1 are equal: config, 4 files, base\n"
    assert ready.run("diff", "m", "--lang", "zh", check=True).stdout.startswith("m:0.0.1@1 与 ")
    assert diff(ready, "m")["equal"] is True


def test_a_copy_with_equal_content_is_equal(ready, package):
    ready.run("import", package(), "--name", "m", check=True)
    ready.run("import", package(name="copy"), "--name", "m", check=True)
    assert diff(ready, "m")["equal"] is True


def test_what_was_packed_before_keeps_its_digests(ready, package):
    """Of layers that are used again the content is not read, and known all the same."""
    source = package()
    past = 1_600_000_000
    ready.run("import", source, "--name", "m", check=True)
    ready.run("import", source, "--name", "m", check=True)
    rewrite(source, {"model/weights.bin": "WEIGHTS"})
    os.utime(source / "model/weights.bin", (past, past))
    ready.run("import", source, "--name", "m", check=True)
    [change] = diff(ready, "m:0.0.2", "m:0.0.3")["files"]
    assert change["change"] == "changed" and change["digest"]["new"] == digest("WEIGHTS")


def test_failed_check_against_the_version_that_worked(ready, source):
    ready.run("import", source, "--name", "m", check=True)
    rewrite(source, {"model/config.json": CONFIG | {"model_type": "Nonsense"},
                     "model/weights.bin": "grown weights", "model/gone.bin": "GONE"})
    assert ready.run("import", source, "--name", "m").returncode == 1
    found = diff(ready, "m")
    assert found["new"]["outcome"] == "failed"
    assert '+  "model_type": "Nonsense"' in found["config"]["lines"]
    assert found["files"] == [
        {"change": "unsure", "path": "model/gone.bin", "size": {"old": 4, "new": 4},
         "digest": {"old": digest("gone"), "new": None}},
        {"change": "changed", "path": "model/weights.bin", "size": {"old": 7, "new": 13},
         "digest": {"old": digest("weights"), "new": None}}]
    assert found["files_same"] == 1, "what nobody wrote to is the same without being hashed"
    assert found["unknown"] == [{"side": "new", "part": "base"}]
    text = ready.run("diff", "m", check=True).stdout
    assert "? model/gone.bin 4 B (written to since; sha256:" in text
    assert "~ model/weights.bin 7 B -> 13 B (sha256:" in text and "-> not hashed)" in text
    assert text.endswith("not known: the base of m:0.0.2@1, which its import did not reach\n")


def test_attempts_of_one_version(ready, package):
    source = package(config={"model_type": "Nonsense"})
    assert ready.run("import", source, "--name", "m").returncode == 1
    rewrite(source, {"model/config.json": CONFIG})
    ready.run("retry", "m", check=True)
    found = diff(ready, "m@1", "m:0.0.1@2")
    assert [found[side]["attempt"] for side in ("old", "new")] == [1, 2]
    assert (found["config"]["removed"], found["config"]["added"]) == (1, 1)
    assert found["files"] == [] and found["files_same"] == 1
    model_id = found["old"]["model_id"]
    assert diff(ready, model_id + "@1", model_id) == found
    backwards = diff(ready, "m@2", "m@1")
    assert backwards["old"]["attempt"] == 2
    assert '-  "model_type": "Custom"' in backwards["config"]["lines"]


def test_retried_attempt_inherits_digests(ready, package, base_layout):
    """An attempt that goes on at its build has read no file itself."""
    source = package(config=numpy("1.24"))
    assert ready.run("import", source, "--name", "m").returncode == 1
    assert ready.run("retry", "m").returncode == 1
    rewrite(source, {"model/weights.bin": "WEIGHTS"})
    assert ready.run("retry", "m").returncode == 1
    [change] = diff(ready, "m@2", "m@3")["files"]
    assert change["digest"] == {"old": digest("weights"), "new": digest("WEIGHTS")}


def test_dependencies_are_compared_by_name(ready, package):
    first = package(config={"dependencies": [{"installer": "pip", "packages": [
        {"package_name": "numpy", "package_version": "1.24", "restraint": "EXACT"},
        {"package_name": "Old_Name"}, {"package_name": "same"}]}]})
    second = package(name="second", config={"dependencies": [{"installer": "pip", "packages": [
        {"package_name": "same"}, {"package_name": "old-name"},
        {"package_name": "numpy", "package_version": "1.26", "restraint": "EXACT"},
        {"package_name": "wrong", "package_version": "1"}]}]})
    ready.run("import", first, "--name", "m", "--version", "0.0.1")
    ready.run("import", second, "--name", "m", "--version", "0.0.2")
    assert diff(ready, "m:0.0.1", "m:0.0.2")["dependencies"] == [
        {"change": "changed", "installer": "pip", "name": "numpy",
         "version": {"old": "==1.24", "new": "==1.26"}},
        {"change": "added", "installer": "pip", "name": "wrong",
         "version": {"old": None, "new": "1"}}]
    text = ready.run("diff", "m:0.0.1", "m:0.0.2", check=True).stdout
    assert "\ndependencies\n~ numpy ==1.24 -> ==1.26\n+ wrong 1\n" in text


def test_config_that_is_no_json_has_lines_but_no_dependencies(ready, package):
    source = package()
    ready.run("import", source, "--name", "m", check=True)
    rewrite(source, {"model/config.json": b'{"model_type": "\xff\x1b[31mCustom",\n'})
    assert ready.run("import", source, "--name", "m").returncode == 1
    found = diff(ready, "m")
    assert found["config"]["added"] == 1
    assert {"side": "new", "part": "dependencies"} in found["unknown"]
    text = ready.run("diff", "m", check=True).stdout
    assert "\x1b" not in text and "\\x1b[31mCustom" in text
    assert "the dependencies of m:0.0.2@1, whose config is not JSON" in text


def test_source_that_is_gone_leaves_files_and_config_unknown(ready, package, tmp_path):
    source = package()
    ready.run("import", source, "--name", "m", check=True)
    rewrite(source, {"model/config.json": CONFIG | {"model_type": "Nonsense"}})
    assert ready.run("import", source, "--name", "m").returncode == 1
    source.rename(tmp_path / "elsewhere")
    assert ready.run("retry", "m").returncode == 1
    found = diff(ready, "m")
    assert found["config"] is None and found["files"] == []
    assert {(row["side"], row["part"]) for row in found["unknown"]} == \
        {("new", "config"), ("new", "files"), ("new", "base")}
    [line] = ready.run("diff", "m", check=True).stdout.splitlines()
    assert line.startswith("m:0.0.1@1 and m:0.0.2@2 do not differ in what is known. Not known: ")


def test_base_and_request_are_compared(ready, package, base_layout, tmp_path):
    import oci_layout
    oci_layout.make_base(tmp_path / "other")
    ready.run("runtime", "add", "other", "--image", f"oci:{tmp_path / 'other'}:latest", check=True)
    source = package()
    ready.run("import", source, "--name", "m", "--runtime", "base", check=True)
    ready.run("import", source, "--name", "m", "--runtime", "other", "--description", "new",
              check=True)
    facts = diff(ready, "m")["facts"]
    assert facts["runtime"] == {"old": "base", "new": "other"}
    assert facts["description"] == {"old": "", "new": "new"}
    assert facts["base"]["new"] == f"oci:{tmp_path / 'other'}:latest"
    assert "~ runtime base -> other\n" in ready.run("diff", "m", check=True).stdout


def test_nothing_to_compare_with(ready, package):
    ready.run("import", package(), "--name", "m", "--version", "0.0.2", check=True)
    broken = package(config={"model_type": "Nonsense"}, name="broken")
    assert ready.run("import", broken, "--name", "m", "--version", "0.0.1").returncode == 1
    for name in ("m:0.0.2", "m:0.0.1"):
        done = ready.run("diff", name)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"nothing to compare with: no attempt of m before {name}@1" in done.stderr


def test_what_is_not_there_is_named(ready, package):
    ready.run("import", package(), "--name", "m", check=True)
    done = ready.run("diff", "m", "nobody")
    assert done.returncode == 1 and "no model nobody" in done.stderr
    done = ready.run("diff", "m@2", "m")
    assert done.returncode == 1 and "m:0.0.1 has attempts 1 to 1, no attempt 2" in done.stderr
    for text in ("m@", "m@x", "m@0", "m@99999999999"):
        done = ready.run("diff", text)
        assert done.returncode == 2 and "expected the number of an attempt" in done.stderr, text
    assert ready.run("diff").returncode == 2
    assert ready.run("diff", "m", "m", "m").returncode == 2


def test_terminal_gets_colours_and_80_columns(ready, package):
    long = "model/" + "a-long-name/" * 4 + "weights.bin"
    source = package(files={long: "a"})
    ready.run("import", source, "--name", "m", check=True)
    rewrite(source, {long: "b", "model/new.bin": "new",
                     "model/config.json": CONFIG | {"model_algorithm": "other"}})
    ready.run("import", source, "--name", "m", check=True)
    environment = {key: value for key, value in ready.environment.items() if key != "NO_COLOR"}
    environment["TERM"] = "xterm"
    for language in ("en", "zh"):
        command = [ready.program, "diff", "m", "--lang", language]
        status, output = run_on_terminal(command, environment)
        assert status == 0
        assert "\x1b[31m-  " in output and "\x1b[32m+  " in output
        assert all(width(line) <= 80 for line in shown_lines(output)), output
    status, output = run_on_terminal([ready.program, "diff", "m"], ready.environment)
    assert "\x1b[3" not in output, "NO_COLOR"


def make_older(path):
    """The store as the first migration made it, with what it could keep."""
    old = path.with_suffix(".older")
    with sqlite3.connect(path) as store:
        [[migrations]] = store.execute("SELECT sql FROM sqlite_master WHERE name = 'migrations'")
    store.close()
    with sqlite3.connect(old) as store:
        store.execute("ATTACH ? AS now", (str(path),))
        store.executescript(SPINE.read_text() + migrations)
        store.execute("DELETE FROM projects")
        for [table] in store.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' "
                                     "AND name NOT LIKE 'sqlite%'").fetchall():
            columns = ", ".join(row[1] for row in store.execute(f"PRAGMA main.table_info({table})"))
            store.execute(f"INSERT INTO main.{table}({columns}) SELECT {columns} FROM now.{table}")
        store.execute("DELETE FROM migrations WHERE number >= 2")
    store.close()
    for part in path.parent.glob(path.name + "-*"):
        part.unlink()
    old.rename(path)


def test_store_of_an_older_schema_is_compared_by_what_it_kept(ready, package):
    """Digests were not kept with the attempt once: sizes and times remain."""
    source = package()
    ready.run("import", source, "--name", "m", check=True)
    rewrite(source, {"model/weights.bin": "WEIGHTS"})
    ready.run("import", source, "--name", "m", check=True)
    make_older(ready.data / "waybill.db")
    [change] = diff(ready, "m")["files"]
    assert change["change"] == "unsure" and change["digest"] == {"old": None, "new": None}
    assert (ready.data / "waybill.db.before-2").exists()


def test_file_of_its_own_layer_is_compared_by_the_layer(ready, package):
    """A large file is hashed with its layer only."""
    size = 64 << 20
    source = package(files={"model/weights.bin": size})
    ready.run("import", source, "--name", "m", check=True)
    with open(source / "model/weights.bin", "r+b") as file:
        file.write(b"x")
    ready.run("import", source, "--name", "m", check=True)
    [change] = diff(ready, "m")["files"]
    assert (change["change"], change["size"]) == ("changed", {"old": size, "new": size})
    layers = change["layer_digest"]
    assert change["digest"] == {"old": None, "new": None} and layers["old"] != layers["new"]
    assert f"(layer {layers['old'][:19]} -> layer {layers['new'][:19]})" in \
        ready.run("diff", "m", check=True).stdout
    ready.run("import", source, "--name", "m", check=True)
    assert diff(ready, "m")["equal"] is True


def closing(waybill, *arguments, language="en"):
    """What a terminal shows behind the last event of an import that fails."""
    status, output = run_on_terminal([waybill.program, *map(str, arguments), "--lang", language],
                                     waybill.environment)
    assert status == 1, output
    lines = shown_lines(output)
    assert all(width(line) <= 80 for line in lines), output
    return " ".join(" ".join(lines).split())


def test_failed_import_says_what_changed_since_it_worked(ready, package):
    source = package(config=numpy("1.24") | {"dependencies": []})
    ready.run("import", source, "--name", "m", check=True)
    rewrite(source, {"model/weights.bin": "WEIGHTS!", "model/config.json":
                     CONFIG | numpy("1.26") | {"model_type": "Nonsense"}})
    shown = closing(ready, "import", source, "--name", "m")
    assert re.search(r"Since 0\.0\.1 \(worked \d{4}-\d\d-\d\d\): config\.json \d+ lines, 1 file "
                     r"changed, \+ numpy ==1\.26: waybill diff m:0\.0\.2 ", shown), shown
    shown = closing(ready, "retry", "m", language="zh")
    assert "自 0.0.1(" in shown and "1 个文件有变化" in shown.replace(" 个 ", " 个"), shown


def test_failed_import_that_never_worked_compares_with_nothing(ready, package):
    shown = closing(ready, "import", package(config={"model_type": "Nonsense"}), "--name", "m")
    assert "Since " not in shown


def test_failed_import_of_what_worked_says_that_nothing_changed(ready, package):
    source = package()
    ready.run("import", source, "--name", "m", check=True)
    shown = closing(ready, "import", source, "--name", "m", "--set",
                    "limits.model_gib=0.000000001")
    assert "nothing changed in what is known: waybill diff m:0.0.2" in shown


def test_custom_images_are_compared_by_their_manifests(ready, base_layout, tmp_path):
    from oci_layout import USERS, entry, write_layout
    other = tmp_path / "other"
    write_layout(other, [entry("etc/passwd", USERS), entry("etc/other", b"other")], {})
    for layout in (base_layout, other):
        ready.run("import", f"oci:{layout}:latest", "--type", "Image", "--name", "i", check=True)
    found = diff(ready, "i")
    assert found["facts"]["source_image"] == {"old": f"oci:{base_layout}:latest",
                                              "new": f"oci:{other}:latest"}
    digests = found["facts"]["source_digest"]
    assert digests["old"] != digests["new"] and found["unknown"] == [] and found["files"] == []
    assert ready.run("import", f"oci:{other}:nothing", "--type", "Image", "--name",
                     "i").returncode == 1
    found = diff(ready, "i")
    assert found["facts"] == {"source_image": {"old": f"oci:{other}:latest",
                                               "new": f"oci:{other}:nothing"}}
    assert found["unknown"] == [{"side": "new", "part": "base"}]
