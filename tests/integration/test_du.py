"""`waybill du`: what takes the space, by project and model; on a data directory, of a server, and where
a registry keeps the images."""
import json
import os

import pytest

from access import make_token
from image_store import kept, local_blobs  # noqa: F401
from postgres import database, postgres_server  # noqa: F401
from registries import registry_at  # noqa: F401
from serving import Server
from terminal import run_on_terminal, shown_lines, width
from v2_client import Registry
from wholeness import blobs_of

MIB = 1 << 20


def url(server):
    return f"http://{server.netloc}"


def rows_of(waybill, *arguments, **options):
    """{kind: [row, …]}"""
    found = {}
    for row in waybill.run("du", "--json", *arguments, check=True, **options).events:
        found.setdefault(row.pop("kind"), []).append(row)
    return found


@pytest.fixture
def stored(ready, package):
    """Two models with the same weights, one in another project, a third of its own."""
    same = {"model/weights.bin": os.urandom(2 * MIB)}
    ready.run("import", package(same, name="one"), "--name", "one", check=True)
    ready.run("import", package(same, name="two"), "--name", "two", "--project", "vision", check=True)
    own = package({"model/weights.bin": os.urandom(MIB)}, name="own")
    ready.run("import", own, "--name", "own", check=True)
    return ready


def test_models_projects_and_what_is_shared(stored):
    rows = rows_of(stored)
    models = {row["model_name"]: row for row in rows["model"]}
    assert [row["bytes"] for row in rows["model"]] == sorted(
        (row["bytes"] for row in rows["model"]), reverse=True)
    assert models["one"]["bytes"] > 2 * MIB > models["one"]["alone_bytes"]
    assert models["own"]["bytes"] > models["own"]["alone_bytes"] > MIB
    default, vision = rows["project"]
    assert (default["project"], default["models"]) == ("default", 2)
    assert default["bytes"] > 3 * MIB > default["alone_bytes"] > MIB
    assert (vision["project"], vision["models"]) == ("vision", 1) and vision["bytes"] > 2 * MIB
    [runtimes] = rows["runtimes"]
    assert runtimes["bytes"] > runtimes["alone_bytes"] > 0, "the base's layers are the images', too"


def test_the_total_counts_each_blob_once(stored):
    rows = rows_of(stored)
    blobs = sum(path.stat().st_size for path in blobs_of(stored.data).iterdir())
    [images], [store], [total] = rows["images"], rows["store"], rows["total"]
    assert images["bytes"] == blobs == images["kept_bytes"]
    assert total["bytes"] == blobs + store["bytes"] + rows["unpacked"][0]["bytes"] + \
        rows["uploads"][0]["bytes"]
    assert store["bytes"] > (stored.data / "waybill.db").stat().st_size // 2
    [disk] = rows["disk"]
    assert disk["bytes"] > disk["free_bytes"] > 0


def test_what_gc_removes_has_a_row_until_it_ran(stored):
    assert "waybill gc" not in stored.run("du", check=True).stdout
    stored.run("delete", "own", check=True)
    assert "1.0 MiB           -  what waybill gc removes" in stored.run("du", check=True).stdout
    stored.run("gc", check=True)
    assert "waybill gc" not in stored.run("du", check=True).stdout


def test_one_project_tells_nothing_of_the_others(stored):
    rows = rows_of(stored, "--project", "vision")
    assert [row["project"] for row in rows["project"]] == ["vision"]
    assert [row["model_name"] for row in rows["model"]] == ["two"]
    assert rows["model"][0]["alone_bytes"] < 2 * MIB, "the weights are another project's, too"
    assert rows["project"][0]["alone_bytes"] < 2 * MIB
    assert set(rows) == {"project", "model", "uploads", "disk"}
    text = stored.run("du", "--project", "vision", check=True).stdout
    assert "project vision: versions 1" in text and "default" not in text and "total" not in text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_server_says_the_same_as_its_data_directory(stored, tmp_path, language):
    server = Server(stored, tmp_path)
    for arguments in ([], ["--project", "vision"], ["--json", "--project", "vision"]):
        here = stored.run("du", *arguments, "--lang", language, check=True).stdout.splitlines()
        there = stored.run("du", *arguments, "--lang", language, "--server", url(server),
                           check=True).stdout.splitlines()
        # What is free, and the store, may have changed meanwhile.
        assert here[:4] == there[:4] or "--json" in arguments and here[:2] == there[:2], arguments
        assert len(here) == len(there)
    assert server.stop() == 0


def test_who_is_of_one_project_sees_that_one(stored, tmp_path):
    server = Server(stored, tmp_path)
    boss = {"WAYBILL_TOKEN": make_token(stored, "boss", "admin", "vision")["token"]}
    rows = rows_of(stored, "--server", url(server), env=boss)
    assert [row["project"] for row in rows["project"]] == ["vision"] and "total" not in rows
    refused = stored.run("du", "--server", url(server), "--project", "default", env=boss)
    assert refused.returncode == 3 and "may not use project default" in refused.stderr
    reader = {"WAYBILL_TOKEN": make_token(stored, "eve", "reader", "vision")["token"]}
    assert stored.run("du", "--server", url(server), env=reader).returncode == 3
    assert server.stop() == 0


def test_uploads_and_pushed_images_have_rows(ready, tmp_path):
    server = Server(ready, tmp_path, "--set", "upload.min_free_gib=0.001")
    upload = server.ask("POST", "/v1/default/uploads").json["upload_id"]
    put = server.ask("PUT", f"/v1/default/uploads/{upload}/model/a", b"x" * MIB)
    assert put.status == 200, put
    Registry(server, "vision/pushed").push_image("1", (os.urandom(2 * MIB),))
    rows = rows_of(ready)
    assert rows["uploads"] == [{"count": 1, "bytes": MIB}]
    assert rows["pushed"][0]["alone_bytes"] == rows["pushed"][0]["bytes"] > 2 * MIB
    [vision] = [row for row in rows["project"] if row["project"] == "vision"]
    assert vision["bytes"] == vision["alone_bytes"] > 2 * MIB and vision["models"] == 0
    assert rows["total"][0]["bytes"] > 3 * MIB
    assert rows_of(ready, "--project", "vision")["uploads"] == [{"count": 0, "bytes": 0}]
    assert server.stop() == 0


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("columns", [60, 100])
def test_a_terminal_has_a_table_that_fits(stored, package, language, columns):
    stored.run("import", package(name="long"), "--name", "模型" * 15, check=True)
    status, output = run_on_terminal(
        [stored.program, "du", "--color", "never", "--lang", language],
        stored.environment | {"TERM": "xterm"}, columns)
    lines = shown_lines(output)
    assert status == 0 and lines[0].split()[0] == {"en": "Size", "zh": "大小"}[language]
    assert all(width(line) < columns for line in lines), output


def test_a_registry_that_keeps_the_images_is_counted_by_their_manifests(kept, package):
    source = package({"model/weights.bin": os.urandom(2 * MIB)})
    kept.run("import", source, "--name", "m", check=True)
    details = json.loads(kept.run("show", "m", "--json", check=True).stdout)
    rows = rows_of(kept)
    [model], [images], [total] = rows["model"], rows["images"], rows["total"]
    assert 2 * MIB < model["bytes"] <= images["registry_bytes"]
    assert abs(model["bytes"] - details["image_size"]) < 64 << 10
    assert images["bytes"] == local_blobs(kept)
    assert total["bytes"] >= images["registry_bytes"] + images["bytes"]
    assert "waybill gc" not in kept.run("du", check=True).stdout


def test_who_cannot_be_reached_is_exit_3(ready, tmp_path):
    assert ready.run("du", "--server", "http://127.0.0.1:1").returncode == 3
    assert ready.run("du", "--data", tmp_path / "nowhere").returncode == 3
    assert ready.run("du", "surplus").returncode == 2


def test_a_store_in_postgresql(waybill, base_layout, package, database):  # noqa: F811
    waybill.environment["WAYBILL_STORE_URL"] = database
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    source = package({"model/weights.bin": os.urandom(2 * MIB)})
    waybill.run("import", source, "--name", "m", check=True)
    rows = rows_of(waybill)
    assert rows["model"][0]["bytes"] > 2 * MIB and rows["store"][0]["bytes"] > MIB
    full = waybill.run("import", source, "--name", "n", "--json", "--set",
                       f"limits.project_storage_gib={1 / 1024}")
    assert full.events[-2]["kind"] == "project_storage"
    assert 0 < rows["project"][0]["bytes"] - full.events[-2]["evidence"]["used"] + 1 < 8192
