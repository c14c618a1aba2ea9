"""A dynamic model is tried: its container, which has no network, loads its files, and answers."""
import hashlib
import json
import os

import pytest

from environments import fresh_builder, python_layout  # noqa: F401
from oci_layout import entry
from python_base import ROOT, derive
from registries import registry_at  # noqa: F401

SIZE = 50 << 20
CODE = """
import hashlib, pathlib
from model_service.model_service import SingleNodeService
class Own(SingleNodeService):
    def __init__(self, model_name, model_path):
        super().__init__(model_name, model_path)
        with open(pathlib.Path(model_path) / "weights/large.bin", "rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()
    def _inference(self, data):
        return {"weights": self.digest, "sent": data}
"""


@pytest.fixture
def real(fresh_builder, tmp_path):
    """The runtime `real`, whose base image runs the reference inference service."""
    service = [entry("opt"), entry("opt/waybill")]
    for path in sorted((ROOT / "runtime/python").rglob("*")):
        if "__pycache__" not in path.parts:
            name = f"opt/waybill/{path.relative_to(ROOT / 'runtime/python')}"
            service.append(entry(name, None if path.is_dir() else path.read_bytes(),
                                 mode=0o755 if path.is_dir() else 0o644))
    layout = derive(tmp_path / "layout", service, Cmd=["python3", "-B", "/opt/waybill/serve.py"])
    fresh_builder.layout = layout
    return fresh_builder


def make_model(package):
    content = os.urandom(SIZE)
    return package({"model/customize_service.py": CODE, "model/weights/large.bin": content,
                    "model/small.txt": "s"}), hashlib.sha256(content).hexdigest()


def import_and_try(waybill, folder, digest, *options):
    waybill.run("runtime", "add", "real", "--image", f"oci:{waybill.layout}:latest", check=True)
    waybill.run("import", folder, "--name", "m", "--runtime", "real", "--dynamic", *options, check=True)
    answer = waybill.run("try", "m", "--input", '{"x": 1}', check=True)
    assert json.loads(answer.stdout) == {"weights": digest, "sent": {"x": 1}}


def test_a_dynamic_model_loads_its_files_and_answers(real, package):
    folder, digest = make_model(package)
    import_and_try(real, folder, digest, "--verify")
    assert "verified: it serves" in real.run("log", "m", check=True).stdout


def test_of_a_registry_that_keeps_its_files_it_does_too(real, package, registry_at):
    folder, digest = make_model(package)
    for runtime in map(json.loads, real.run("runtime", "list", "--json", check=True).stdout.splitlines()):
        real.run("runtime", "remove", runtime["name"], check=True)
    real.environment["WAYBILL_IMAGES_URL"] = f"registry+http://{registry_at().host}/kept"
    import_and_try(real, folder, digest)


def test_a_file_that_is_damaged_is_named(real, package):
    folder, digest = make_model(package)
    import_and_try(real, folder, digest)
    with open(real.data / "images/blobs/sha256" / digest, "r+b") as file:
        file.write(b"damaged")
    tried = real.run("try", "m", "--set", "build.ready_seconds=10")
    assert tried.returncode == 1 and "weights/large.bin" in tried.stderr, tried


def test_a_model_of_weights_alone_loads_them(real, package, tmp_path):
    """Nothing of it is in the image: there, too, the service has a place for its files."""
    (tmp_path / "config.json").write_text(json.dumps({"model_algorithm": "a", "model_type": "Custom"}))
    folder = package({"model/config.json": None, "model/weights/w.bin": "w" * 1000}, name="alone")
    real.run("runtime", "add", "real", "--image", f"oci:{real.layout}:latest", check=True)
    real.run("import", folder, "--name", "m", "--runtime", "real", "--dynamic", "--config",
             tmp_path / "config.json", check=True)
    tried = real.run("try", "m", "--path", "/health", "--set", "build.ready_seconds=15")
    assert tried.returncode == 1 and "customize_service.py" in tried.stderr, "what it lacks is code alone"
    assert 0 < tried.stderr.count('"GET /health"') < 320, "it is asked now and then"
