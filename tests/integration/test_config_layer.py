"""The config that is in force is in the image: with the package, or in a layer of its own."""
import json
import sqlite3
import tarfile
import time

import pytest

from environments import (bring, fresh_builder, index, left_behind, python_layout, reasons,
                          wheel)  # noqa: F401
from oci_layout import entry
from python_base import ROOT, derive
from serving import Server

OWN = {"model_algorithm": "own", "model_type": "Custom"}
GIVEN = {"model_algorithm": "given", "model_type": "Custom",
         "apis": [{"url": "/", "method": "GET"}, {"url": "/", "method": "POST"}]}
HUGGING_FACE = {"architectures": ["LlamaForCausalLM"], "transformers_version": "4.40.0"}


def shown(waybill, name="m"):
    return json.loads(waybill.run("show", name, "--json", check=True).stdout)


def members(waybill, digest):
    """Of a layer: (the whole entry, content) by path."""
    blob = waybill.data / "images/blobs" / digest.replace(":", "/")
    with tarfile.open(blob) as tar:
        return {member.name: (member, tar.extractfile(member).read() if member.isfile() else None)
                for member in tar}


def model_layers(waybill, name="m"):
    return [layer["digest"] for layer in shown(waybill, name)["layers"]
            if layer["origin"] == "model"]


def config_of(waybill, name="m"):
    """What the image has beside the model, in its last layer; None."""
    found = members(waybill, model_layers(waybill, name)[-1])
    if "home/mind/waybill.json" not in found:
        return None
    [(member, content)] = found.values()
    assert (member.mode, member.uid, member.gid, member.mtime) == (0o644, 1000, 100, 0)
    return json.loads(content)


@pytest.fixture
def given(tmp_path):
    file = tmp_path / "given.json"
    file.write_text(json.dumps(GIVEN, indent=1))
    return file


def test_a_package_with_the_config_in_force_keeps_its_digest(ready, waybill_at, base_layout, package):
    source = package(config=OWN)
    ready.run("import", source, "--name", "m", check=True)
    assert len(model_layers(ready)) == 1 and config_of(ready) is None
    other = waybill_at("other")
    other.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    other.run("import", source, "--name", "m", "--config", source / "model/config.json", check=True)
    assert shown(other)["image_digest"] == shown(ready)["image_digest"]


def test_a_config_of_the_request_is_a_layer_of_its_own(ready, waybill_at, base_layout, package, given):
    source = package(config=OWN)
    ready.run("import", source, "--name", "m", "--config", given, check=True)
    assert config_of(ready) == GIVEN and len(model_layers(ready)) == 2
    own = members(ready, model_layers(ready)[0])["home/mind/model/config.json"][1]
    assert json.loads(own) == OWN | {"model_algorithm": "own"}, "packed unchanged"
    ready.run("gc", check=True)
    ready.run("verify", check=True)
    other = waybill_at("other")
    other.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    other.run("import", source, "--name", "m", "--config", given, check=True)
    assert shown(other)["image_digest"] == shown(ready)["image_digest"]
    assert ready.run("import", source, "--name", "m", "--version", "0.0.1", "--config", given,
                     check=True).returncode == 0, "equal content is a success"


def test_the_config_beside_the_model_directory_is_packed_too(ready, package):
    source = package({"waybill.json": GIVEN, "model/config.json": HUGGING_FACE})
    ready.run("import", source, "--name", "m", check=True)
    assert config_of(ready) == GIVEN


def test_another_config_packs_no_file_again(ready, package, given):
    source = package({"model/large.bin": 70 << 20}, config=OWN)
    time.sleep(2.5)  # a file that was just written is not known for sure
    ready.run("import", source, "--name", "m", "--config", given, check=True)
    first = model_layers(ready)
    given.write_text(json.dumps(GIVEN | {"model_algorithm": "second"}))
    again = ready.run("import", source, "--name", "m", "--version", "0.0.1", "--config", given,
                      "--if-exists", "retry", "--json")
    assert again.returncode == 0, str(again)
    [copied] = [event for event in again.events if event["reason"] == "ModelFilesImported"]
    assert copied["evidence"]["reused_files"] == copied["evidence"]["files"] == 3
    second = model_layers(ready)
    assert second[:-1] == first[:-1] and second[-1] != first[-1]
    assert config_of(ready)["model_algorithm"] == "second"
    ready.run("import", source, "--name", "m", "--version", "0.0.1", "--if-exists", "retry",
              check=True)
    assert model_layers(ready) == first[:-1], "the package's own counts again"
    compared = ready.run("diff", "m:0.0.1@1", "m:0.0.1@3", "--json")
    assert json.loads(compared.stdout)["files_same"] == 3, compared


def test_a_retry_goes_on_with_it_as_long_as_it_is_the_same(ready, package, given, tmp_path):
    """The build of the environment fails: there is no sandbox."""
    given.write_text(json.dumps(GIVEN | {"dependencies": [
        {"installer": "pip", "packages": [{"package_name": "numpy"}]}]}))
    source = package(config=OWN)
    assert ready.run("import", source, "--name", "m", "--config", given).returncode == 1
    assert ready.run("retry", "m").returncode == 1
    copies = [event for event in ready.run("events", "m", "--json").events
              if event["reason"] == "ModelFilesImported"]
    assert [event["attempt"] for event in copies] == [1], "the second goes on where it failed"
    with sqlite3.connect(ready.data / "waybill.db") as store:
        rows = store.execute("SELECT attempt, digest FROM layers WHERE origin = 'config' "
                             "ORDER BY attempt").fetchall()
    assert [attempt for attempt, _ in rows] == [1, 2] and rows[0][1] == rows[1][1]
    given.write_text(json.dumps(GIVEN))
    ready.run("retry", "m", "--config", given, check=True)
    assert config_of(ready) == GIVEN


def test_a_rebuild_keeps_it(fresh_builder, package, given, tmp_path):
    file, content = wheel("extra")
    source = package({f"model/{file}": content}, config=OWN)
    fresh_builder.run("import", source, "--name", "m", "--config", given, check=True)
    before = model_layers(fresh_builder)
    wanted = tmp_path / "dependencies.json"
    wanted.write_text(json.dumps([{"installer": "pip", "packages": [{"package_name": file}]}]))
    fresh_builder.run("update", "m", "--dependencies", wanted, check=True)
    assert [layer["origin"] for layer in shown(fresh_builder)["layers"]] == \
        ["base", "environment"] + ["model"] * len(before)
    assert model_layers(fresh_builder) == before and config_of(fresh_builder) == GIVEN


CODE = """
from model_service.model_service import SingleNodeService
class Own(SingleNodeService):
    def _inference(self, data):
        return {"algorithm": self.model_name, "sent": data}
"""


def test_the_service_in_the_container_knows_the_config_of_a_request(fresh_builder, package, tmp_path):
    """Not the package's: it has one, which was in force when somebody tried it out."""
    service = [entry("opt"), entry("opt/waybill")]
    for path in sorted((ROOT / "runtime/python").rglob("*")):
        if "__pycache__" not in path.parts:
            name = f"opt/waybill/{path.relative_to(ROOT / 'runtime/python')}"
            service.append(entry(name, None if path.is_dir() else path.read_bytes(),
                                 mode=0o755 if path.is_dir() else 0o644))
    layout = derive(tmp_path / "layout", service,
                    Cmd=["python3", "-B", "/opt/waybill/serve.py"])
    fresh_builder.run("runtime", "add", "real", "--image", f"oci:{layout}:latest", check=True)
    source = package({"model/customize_service.py": CODE}, config=OWN)
    server = Server(fresh_builder, tmp_path)
    model_id = server.create(source, name="m", runtime="real",
                             initial_config=json.dumps(GIVEN)).json["model_id"]
    assert server.settled(model_id)["model_status"] == "published"
    assert server.stop() == 0
    posted = fresh_builder.run("try", "m", "--input", '{"x": 1}', check=True)
    assert json.loads(posted.stdout) == {"algorithm": "given", "sent": {"x": 1}}
    got = fresh_builder.run("try", "m", "--path", "/?a=b", check=True)
    assert json.loads(got.stdout) == {"algorithm": "given", "sent": {"a": "b"}}
    fresh_builder.run("import", source, "--name", "plain", "--runtime", "real", check=True)
    assert fresh_builder.run("try", "plain", "--path", "/?a=b").returncode == 1, "405"
