"""Every case of corpus/cases (the format: corpus_runner.py): an import of the package shows the
events that the specification says, and `waybill check` finds the same faults beforehand."""
import json
import os

import pytest

from corpus_runner import Scene, load_cases, load_texts

# What the program does not have yet: cases that need it are left out.
MISSING = {"registry"}

CASES = {name: case for name, case in load_cases().items()
         if not MISSING & set(case.get("needs", []))}
NAMES = [pytest.param(name, marks=pytest.mark.skipif(
            bool(case.get("not_as_root")) and os.geteuid() == 0, reason="means nothing to root"))
         for name, case in CASES.items()]


@pytest.fixture(scope="module")
def texts():
    return load_texts()


@pytest.mark.parametrize("name", NAMES)
def test_import(name, waybill, base_layout, tmp_path, texts):
    faults = Scene(name, CASES[name], waybill, base_layout, tmp_path).faults(texts)
    assert not faults, "%s\n%s" % (CASES[name]["name"], "\n".join(faults))


def fatal(events):
    """Reason and parameters of what ends an import in its checks."""
    return sorted((event["reason"], json.dumps(event["params"], sort_keys=True))
                  for event in events
                  if event["reason"] != "ImportFailed"
                  and (event["event_type"] == "abnormal" or event["reason"] == "ModelFileAmbiguous"))


def is_checked_alone(case):
    """What check sees without an image, a build, a fault of the request or an unreadable file."""
    text = json.dumps(case)
    return ("usage" not in case["expect"]
            and not {"source", "damage_kept", "modes", "slow"} & set(case)
            and '"Image"' not in text and "BuildStartFailed" not in text)


@pytest.mark.parametrize("name", [name for name in NAMES
                                  if is_checked_alone(CASES[name.values[0]])])
def test_check_finds_what_import_finds(name, waybill, base_layout, tmp_path):
    scene = Scene(name, CASES[name], waybill, base_layout, tmp_path)
    common = [scene.source, "--json", "--name", scene.model, *scene.arguments]
    checked = waybill.run(*scene.settings, "check", *common)
    imported = waybill.run(*scene.settings, "import", *common)
    assert checked.returncode == imported.returncode, str(checked)
    assert fatal(json.loads(checked.stdout)["findings"]) == fatal(imported.events)
    models = waybill.run("models", "--json")
    assert len(models.stdout.splitlines()) == 1, "check must store nothing"
