"""What of a folder becomes the package: .waybillignore, links that leave it (--dereference)."""
import json
import os
import tarfile

import pytest

from conftest import write_package
from oci_layout import blob_path
from serving import Server


def findings(waybill, *arguments):
    return json.loads(waybill.run("check", *arguments, "--json").stdout)["findings"]


def packed(waybill, model):
    """{path: content} of the model's files in its image."""
    shown = json.loads(waybill.run("show", model, "--json", check=True).stdout)
    layout = waybill.data / "images"
    manifest = json.loads((layout / "blobs" / shown["image_digest"].replace(":", "/")).read_bytes())
    files = {}
    for layer in manifest["layers"]:
        with tarfile.open(blob_path(layout, layer["digest"])) as archive:
            for member in archive:
                if member.isfile() and "home/mind/model/" in member.name:
                    content = archive.extractfile(member).read().decode()
                    files[member.name.split("home/mind/model/")[1]] = content
    return files


def test_what_is_ignored_is_not_packed(ready, package):
    where = package(files={
        ".waybillignore": "checkpoints/\n/model/*.log\n*.tmp\n",
        "model/.waybillignore": "!keep.tmp\n/data/**/raw\n",
        "model/train.log": "left out", "model/checkpoints/1.pt": "left out",
        "model/a.tmp": "left out", "model/keep.tmp": "kept",
        "model/data/x/raw": "left out", "model/data/x/cooked": "kept",
        "model/deep/train.log": "kept"})
    events = ready.run("import", where, "--name", "m", "--json", check=True).events
    files = packed(ready, "m")
    assert set(files) == {"config.json", "weights.bin", "keep.tmp", "data/x/cooked",
                          "deep/train.log"}
    [size] = [event for event in events if event["reason"] == "ModelSizeCalculated"]
    assert size["evidence"]["size"] == sum(map(len, files.values()))
    assert size["evidence"]["files"] == len(files)


def test_what_is_ignored_gives_no_finding(waybill, package, tmp_path):
    (tmp_path / "outside").write_text("secret")
    where = package(files={"model/.waybillignore": "bad*\n", "model/bad\n": "a control character",
                           "model/bad-file": "unreadable"},
                    links={"model/bad-link": "../../outside", "model/bad-dangling": "nowhere",
                           "model/bad-loop": "."},
                    fifos=["model/bad-pipe"], modes={"model/bad-file": 0})
    kinds = [found.get("kind") for found in findings(waybill, where)]
    assert kinds == ["no_runtime"]


def test_a_link_to_a_directory_is_ignored_as_a_directory(ready, package):
    where = package(files={"model/.waybillignore": "cache/\n", "model/data/a": "kept"},
                    links={"model/cache": "data"})
    ready.run("import", where, "--name", "m", check=True)
    assert set(packed(ready, "m")) == {"config.json", "weights.bin", "data/a"}


def test_one_folder_without_a_child_has_one_ignore_file(ready, package):
    where = package(files={"model/.waybillignore": "*.log\n", "model/a.log": "left out"})
    ready.run("import", where / "model", "--child", ".", "--name", "m", check=True)
    assert set(packed(ready, "m")) == {"config.json", "weights.bin"}


@pytest.mark.parametrize("path", [".waybillignore", "model/.waybillignore"])
@pytest.mark.parametrize("content, fault", [
    ("*.log\ndata[\n", "line 2 has a bracket [ without its end"),
    (b"\xff\n", "line 1 has bytes that are not UTF-8"),
    (1024 * 1024 + 1, "it is larger than 1 MiB"),
])
def test_a_bad_ignore_file_is_named(ready, package, path, content, fault):
    where = package(files={path: content})
    [found] = findings(ready, where)
    assert (found["reason"], found["kind"]) == ("ModelFilesCopyFailed", "ignore_file")
    assert (found["evidence"]["path"], found["evidence"]["error"]) == (path, fault)
    result = ready.run("import", where, "--name", "m", "--json")
    assert result.returncode == 1 and "ModelFilesCopyFailed" in result.reasons


@pytest.mark.parametrize("target", ["../../secret", "nowhere"])
def test_an_ignore_file_that_cannot_be_read_is_named(ready, package, tmp_path, target):
    """Outside of the package it is not read either."""
    (tmp_path / "secret").write_text("[")
    where = package(links={"model/.waybillignore": target})
    [found] = findings(ready, where)
    assert found["evidence"]["path"] == "model/.waybillignore"
    assert "line" not in found["evidence"]["error"]


@pytest.fixture
def cache(tmp_path):
    """A folder as Hugging Face's cache has it: every file is a link to a blob. Its config.json is
    the import's here."""
    top = tmp_path / "models--acme--tiny"
    snapshot = top / "snapshots/0123abc"
    (top / "blobs").mkdir(parents=True)
    (snapshot / "tokenizer").mkdir(parents=True)
    blobs = {"config.json": json.dumps({"model_algorithm": "tiny", "model_type": "LLM"}),
             "model.safetensors": "\x02\0\0\0\0\0\0\0{}", "tokenizer/vocab.txt": "words"}
    for number, (path, content) in enumerate(blobs.items()):
        (top / f"blobs/{number}").write_text(content)
        os.symlink("../" * path.count("/") + f"../../blobs/{number}", snapshot / path)
    return snapshot, blobs


def test_links_out_of_the_package_are_followed_on_demand(ready, cache):
    snapshot, blobs = cache
    common = [snapshot, "--child", ".", "--name", "tiny"]
    refused = {found["kind"] for found in findings(ready, *common)}
    assert "link_outside" in refused
    assert findings(ready, *common, "--dereference") == []
    ready.run("import", *common, "--dereference", check=True)
    assert packed(ready, "tiny") == blobs


def test_absolute_links_and_linked_folders_are_followed_on_demand(ready, package, tmp_path):
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/deep/a").write_text("a")
    real = package(name="real")
    where = tmp_path / "linked"
    where.mkdir()
    os.symlink(real / "model", where / "model")
    os.symlink(tmp_path / "elsewhere", real / "model/data")
    ready.run("import", where, "--name", "m", "--dereference", check=True)
    assert packed(ready, "m")["data/deep/a"] == "a"


def test_loops_are_found_outside_of_the_package_too(ready, package, tmp_path):
    (tmp_path / "outside").mkdir()
    os.symlink(tmp_path / "outside", tmp_path / "outside/again")
    os.symlink("self", tmp_path / "outside/self")
    where = package(links={"model/out": "../../outside", "model/up": "..",
                           "model/gone": "../../gone"})
    found = {(one["kind"], one["evidence"]["path"])
             for one in findings(ready, where, "--dereference")}
    assert {("link_loop", "model/out/again"), ("link_loop", "model/out/self"),
            ("link_dangling", "model/gone")} <= found
    assert all(kind in ("link_loop", "link_dangling") for kind, _ in found)


def test_a_retry_follows_links_as_the_import_did(ready, cache):
    snapshot, blobs = cache
    blob = snapshot.parents[1] / "blobs/1"
    blob.rename(blob.with_name("away"))
    common = [snapshot, "--child", ".", "--name", "tiny", "--dereference"]
    assert ready.run("import", *common).returncode == 1
    blob.with_name("away").rename(blob)
    ready.run("retry", "tiny", check=True)
    assert packed(ready, "tiny") == blobs


TWIN = bytes.fromhex("00051607") + b"\x00\x02\x00\x00Mac OS X        "


def layers(waybill, model):
    shown = json.loads(waybill.run("show", model, "--json", check=True).stdout)
    return [layer["digest"] for layer in shown["layers"]]


def test_what_macos_and_windows_left_is_no_part_of_the_package(ready, package):
    ready.run("import", package(config={"model_type": "PyTorch"},
                                files={"model/weights.bin": None, "model/net.pt": "net"},
                                name="clean"), "--name", "clean", check=True)
    where = package(config={"model_type": "PyTorch"}, name="from-a-mac", files={
        "model/weights.bin": None, "model/net.pt": "net", "model/._net.pt": TWIN,
        "model/._config.json": TWIN, "model/.DS_Store": b"\0\0\0\1Bud1",
        "model/__MACOSX/model/._net.pt": TWIN, "model/__MACOSX/net.pt": "not AppleDouble",
        "model/Thumbs.db": b"\xd0\xcf", "model/desktop.ini": "[.ShellClassInfo]\r\n"})
    result = ready.run("import", where, "--name", "m", "--json", check=True)
    assert layers(ready, "m") == layers(ready, "clean")
    [note] = [event for event in result.events if event["event_type"] == "hint"]
    assert (note["reason"], note["kind"]) == ("PackageNote", "leftovers")
    assert note["evidence"]["n"] == 7 and note["evidence"]["path"] == "model/.DS_Store"
    assert note["summary"] == ("Files that macOS or Windows left in the package are not packed: 7, "
                               "the first of them model/.DS_Store.")
    [checked] = findings(ready, where)
    assert checked["evidence"] == note["evidence"]


def test_a_name_alone_makes_no_twin(ready, package):
    """Only AppleDouble's first bytes do."""
    files = {"model/._notes": "kept", "model/._short": "\0\5\x16", "model/._empty": "",
             "model/data/Thumbs.db.txt": "kept", "model/__MACOSX.txt": "kept"}
    ready.run("import", package(files=files), "--name", "m", check=True)
    assert set(packed(ready, "m")) == {"config.json", "weights.bin", "._notes", "._short", "._empty",
                                       "data/Thumbs.db.txt", "__MACOSX.txt"}


def test_a_twin_is_no_model_file(waybill, package):
    where = package(config={"model_type": "Spark_MLlib"},
                    files={"model/spark_model/._part-0": TWIN})
    reasons = [found["reason"] for found in findings(waybill, where)]
    assert "ModelFileMissing" in reasons and "PackageNote" in reasons


def test_a_twin_that_became_a_file_is_a_changed_package(ready, package):
    where = package(files={"model/._x": TWIN, "model/weights.bin": None},
                    config={"model_type": "PyTorch"})
    assert ready.run("import", where, "--name", "m").returncode == 1
    (where / "model/._x").write_text("a file now")
    (where / "model/net.pt").write_text("net")
    ready.run("retry", "m", check=True)
    assert "._x" in packed(ready, "m")


def test_a_retry_over_http_does_not_follow_what_the_command_line_was_let_follow(ready, package, tmp_path):
    """Links were followed with the rights of who typed the command, not with the server's."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"not of the project")
    folder = package(config={"model_type": "Nonsense"})
    assert ready.run("import", folder, "--name", "m", "--dereference").returncode == 1
    write_package(folder, {"model/config.json": {"model_type": "Custom", "model_algorithm": "t"}},
                  {"model/w.bin": str(secret)})
    server = Server(ready, tmp_path)
    try:
        [model] = server.get("/models").json["models"]
        answer = server.ask("POST", f"/v1/default/models/{model['model_id']}/retry",
                            {"source_location": f"file://{folder}"})
        assert answer.json["attempt"] == 2, answer.body
        assert server.settled(model["model_id"])["failure"]["kind"] == "link_outside"
    finally:
        assert server.stop() == 0
