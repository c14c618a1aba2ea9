"""What of a folder becomes the package: .waybillignore, links that leave it (--dereference)."""
import json
import os
import tarfile

import pytest

from oci_layout import blob_path


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
    assert (found["reason"], found["kind"]) == ("ModelFilesCopyFailed", "unreadable")
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
             "model.safetensors": "weights", "tokenizer/vocab.txt": "words"}
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
