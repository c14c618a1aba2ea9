"""The examples do what their README files say."""
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import types

import pytest

from conftest import ROOT

EXAMPLES = ROOT / "examples"
DIGITS = EXAMPLES / "digits"


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def held_out():
    _, _, images, labels = load("train", DIGITS / "train.py").split()
    return [image.reshape(8, 8).tolist() for image in images], labels.tolist()


class BaseService:
    """As much of the base class as a service may rely on: inference-code.md."""

    def __init__(self, model_name, model_path):
        self.model_name, self.model_path = model_name, model_path

    def inference(self, data):
        return self._postprocess(self._inference(self._preprocess(data)))


@pytest.fixture
def service(monkeypatch):
    base = types.ModuleType("model_service.model_service")
    base.SingleNodeService = BaseService
    monkeypatch.setitem(sys.modules, "model_service", types.ModuleType("model_service"))
    monkeypatch.setitem(sys.modules, "model_service.model_service", base)
    module = load("customize_service", DIGITS / "model/customize_service.py")
    return module.DigitService("digits", str(DIGITS / "model"))


def stated_accuracy():
    return float(re.search(r"\*\*([0-9.]+) %\*\*", (DIGITS / "README.md").read_text())[1])


def config():
    return json.loads((DIGITS / "model/config.json").read_text())


def test_readme_and_config_state_the_same_accuracy():
    assert stated_accuracy() == round(100 * config()["metrics"]["accuracy"], 2) >= 97


def test_inference_code_reaches_the_stated_accuracy(service, held_out):
    images, labels = held_out
    right = sum(service.inference({"image": image})["digit"] == label
                for image, label in zip(images, labels))
    assert round(100 * right / len(labels), 2) == stated_accuracy()


def test_sample_is_a_held_out_three(service, held_out):
    sample = json.loads((DIGITS / "sample.json").read_text())
    assert held_out[1][held_out[0].index(sample["image"])] == 3
    answer = service.inference(sample)
    assert answer["digit"] == 3
    assert answer["probability"] == max(answer["probabilities"]) > 0.5
    assert abs(sum(answer["probabilities"]) - 1) < 0.001


@pytest.mark.parametrize("data", [
    {}, {"image": 3}, {"image": [[0] * 8] * 7}, {"image": [[0] * 7] * 8},
    {"image": [[17] + [0] * 7] + [[0] * 8] * 7}, {"image": [["1"] * 8] * 8},
])
def test_inference_code_refuses_what_is_no_image(service, data):
    with pytest.raises(ValueError):
        service.inference(data)


def test_training_reproduces_the_weights_and_the_figures(tmp_path):
    copy = tmp_path / "digits"
    shutil.copytree(DIGITS, copy)
    (copy / "model/weights.json").unlink()
    subprocess.run(["/usr/bin/python3", copy / "train.py"], check=True, capture_output=True)
    trained = json.loads((copy / "model/config.json").read_text())["metrics"]
    # Another library or processor may round differently on the way: a picture more or less.
    assert trained == pytest.approx(config()["metrics"], abs=0.006)
    assert [len(layer["bias"]) for layer in
            json.loads((copy / "model/weights.json").read_text())["layers"]] == [96, 10]


def test_digits_are_imported(ready):
    result = ready.run("import", DIGITS, "--name", "digits", "--json")
    assert result.returncode == 0, str(result)
    assert result.reasons[-1] == "ModelImported"


def problems(result):
    return [event for event in result.events
            if event["event_type"] != "normal" and event["reason"] != "ImportFailed"]


def import_broken(waybill, name):
    result = waybill.run("import", EXAMPLES / name, "--json")
    assert result.returncode == 1, str(result)
    assert result.reasons[-1] == "ImportFailed"
    return problems(result)


def test_broken_config_names_its_three_faults(ready):
    found = {event["params"]["parameter"]: event["evidence"]["line"]
             for event in import_broken(ready, "broken-config")}
    assert found == {"model_type": 3, "metrics.accuracy": 5,
                     "dependencies[0].packages[0].restraint": 11}


def test_broken_layout_misses_its_model_file(ready):
    [problem] = import_broken(ready, "broken-layout")
    assert problem["reason"] == "ModelFileMissing"
    assert problem["params"]["model_type"] == "Scikit_Learn"


def test_broken_link_names_the_link(ready):
    [problem] = import_broken(ready, "broken-link")
    assert problem["reason"] == "ModelFilesCopyFailed"
    assert problem["evidence"]["path"] == "model/weights.json"
