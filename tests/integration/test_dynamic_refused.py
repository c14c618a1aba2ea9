"""What the inference service refuses of a listing, and what a disk or a folder cannot take."""
import errno
import json
import re
import subprocess

from conftest import wait_for
from dynamic_model import DynamicModel, digest_of, noise
from faulty_blobs import FaultyBlobs
from registries import SECRET
from test_dynamic_service import assert_failed, assert_serves, health, serve  # noqa: F401
from test_full_disk import small_disk  # noqa: F401


def test_an_unsafe_listing_writes_nothing(serve, tmp_path):  # noqa: F811
    model = DynamicModel(tmp_path)
    model.list(files=[{"path": "../out", "size": 1, "digest": digest_of(b"x")}])
    answer = health(serve(model, "/nowhere"))
    assert answer.status == 503 and answer.json["status"] == "failed"
    assert "dynamic.json cannot be used: file 1: the path is \"../out\"" in answer.json["error_msg"]
    assert not list(model.directory.iterdir())


def test_a_folder_that_is_a_link_is_not_written_through(serve, tmp_path):  # noqa: F811
    model = DynamicModel(tmp_path)
    (tmp_path / "out").mkdir()
    (model.directory / "sub").symlink_to(tmp_path / "out")
    with FaultyBlobs(model.blobs) as server:
        assert_failed(serve(model, server.source), "in the way of a file")
    assert not list((tmp_path / "out").iterdir())


def test_a_bad_source_is_said(serve, tmp_path):  # noqa: F811
    service = serve(DynamicModel(tmp_path), f"registry://u:{SECRET}@host")
    assert_failed(service, "WAYBILL_MODEL_SOURCE, entry 1: a login in the address is not taken")


def test_a_full_disk_is_named_with_its_bytes(serve, tmp_path):  # noqa: F811
    model = DynamicModel(tmp_path)
    listed = json.loads(model.listing.read_text())
    listed["files"][0]["size"] = 1 << 60
    model.listing.write_text(json.dumps(listed))
    service = serve(model, "/nowhere", wait=False)
    wait_for(lambda: health(service).json["status"] == "failed")
    assert re.search(r"no space left for the model in \S+: \d{19} bytes are needed, \d+ are free",
                     health(service).json["error_msg"])


def filled(disk):
    """False: the service was faster than the look at how much is free."""
    try:
        disk.fill()
    except OSError as error:
        assert error.errno == errno.ENOSPC
        return False
    return True


def test_a_disk_that_becomes_full_is_waited_for(serve, small_disk):  # noqa: F811
    model = DynamicModel(small_disk.where / "m", {"weights.bin": noise(6 << 20)})
    with FaultyBlobs(model.blobs, rate=4 << 20) as server:
        service = serve(model, server.source, wait=False)
        wait_for(lambda: health(service).json["bytes_done"])
        wait_for(lambda: filled(small_disk))
        wait_for(lambda: health(service).json["status"] == "failed")
        said = health(service).json["error_msg"]
        assert re.search(r"no space left for weights.bin in \S+: \d+ bytes are needed, \d+ are ", said)
        small_disk.clear()
        assert_serves(service.ready(), model)
        assert server.sent < model.bytes + (3 << 20)


def test_a_model_directory_that_cannot_be_written_is_named(serve, small_disk):  # noqa: F811
    model = DynamicModel(small_disk.where / "m")
    with FaultyBlobs(model.blobs) as server:
        subprocess.run(["mount", "-o", "remount,ro", small_disk.where], check=True)
        assert_failed(serve(model, server.source), "cannot be written by uid", "Read-only file system",
                      "mount a volume")
        subprocess.run(["mount", "-o", "remount,rw", small_disk.where], check=True)
        model.write_files(model.directory)
        subprocess.run(["mount", "-o", "remount,ro", small_disk.where], check=True)
        assert_serves(serve(model), model)  # nothing is to be written where all is there


def test_left_over_parts_are_removed(serve, tmp_path):  # noqa: F811
    model = DynamicModel(tmp_path)
    model.directory.joinpath("weights.bin").write_bytes(model.files["weights.bin"])
    there = ".waybill-part-" + digest_of(model.files["weights.bin"])[7:]
    (model.directory / (there + ".journal")).write_bytes(b"0 300000\n")  # killed just after its end
    (model.directory / (".waybill-part-" + "0" * 64)).write_bytes(b"old")
    (model.directory / (".waybill-part-" + "0" * 64 + ".journal")).write_bytes(b"0 3\n")
    with FaultyBlobs(model.blobs) as server:
        assert_serves(serve(model, server.source), model)


def test_a_journal_that_lies_costs_time_only(serve, tmp_path):  # noqa: F811
    model = DynamicModel(tmp_path)
    part = model.directory / (".waybill-part-" + digest_of(model.files["weights.bin"])[7:])
    part.write_bytes(b"\0" * 200_000)
    part.with_name(part.name + ".journal").write_bytes(b"0 150000\n150000 900000\nx\n7 1")
    with FaultyBlobs(model.blobs) as server:
        assert_serves(serve(model, server.source), model)
        assert server.requests and sum("range" in r.headers for r in server.requests) == 1
