"""examples/digits-sklearn does what its README says."""
import importlib.util
import json
import re
import signal

import pytest

from conftest import ROOT
from inference import Service

EXAMPLE = ROOT / "examples/digits-sklearn"


@pytest.fixture(scope="module")
def train():
    spec = importlib.util.spec_from_file_location("train_sklearn", EXAMPLE / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def service():
    """With Debian's python3, whose scikit-learn wrote the model."""
    service = Service(EXAMPLE / "model").ready()
    yield service
    service.stop(signal.SIGKILL)


def test_check_finds_nothing_wrong(ready):
    result = ready.run("check", EXAMPLE)
    assert result.returncode == 0 and result.stdout.startswith("sound: Scikit_Learn"), str(result)


def test_sample_is_a_held_out_seven_and_is_recognised(service, train):
    sample = json.loads((EXAMPLE / "sample.json").read_text())
    _, _, images, labels = train.split()
    assert labels[[image.reshape(8, 8).tolist() for image in images].index(sample["image"])] == 7
    answer = service.post(sample)
    assert answer.status == 200 and answer.json["digit"] == 7, answer
    answer = service.post({"image": [[17] * 8] * 8})
    assert answer.status == 500 and "8 rows of 8 pixels" in answer.json["error_msg"]


def test_model_reaches_the_stated_accuracy(service, train):
    _, _, images, labels = train.split()
    right = sum(service.post({"image": image.reshape(8, 8).tolist()}).json["digit"] == label
                for image, label in zip(images, labels))
    stated = float(re.search(r"\*\*([0-9.]+) %\*\*", (EXAMPLE / "README.md").read_text())[1])
    metrics = json.loads((EXAMPLE / "model/config.json").read_text())["metrics"]
    assert stated == round(100 * right / len(labels), 2) == round(100 * metrics["accuracy"], 2)


def test_training_again_gives_a_model_that_answers_the_same(train):
    images, labels, test_images, _ = train.split()
    kept = train.joblib.load(EXAMPLE / "model/digits.joblib")
    again = train.train(images, labels)
    assert (again.predict(test_images) == kept.predict(test_images)).all()
