"""The answer of a failed import as a person sees it, and `explain MODEL#SEQ`, which says it again.

The terminal outputs are kept in golden/: golden/NAME.LANGUAGE.plain.txt and .colour.txt. After a
wanted change WAYBILL_GOLDEN=write makes them anew; then read the difference.
"""
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from conftest import Waybill, write_package
from terminal import ESCAPE, run_on_terminal, width

GOLDEN = Path(__file__).parent / "golden"
CONFIG = "model/config.json"


def config(**fields):
    return {"model_algorithm": "resnet", "model_type": "PyTorch"} | fields


def package(**fields):
    return {CONFIG: config(**fields), "model/resnet50.pt": "weights"}


# name: (files, what else, first words of the answer's first five lines that name place and repair)
CASES = {
    "syntax": (
        package() | {CONFIG: '{\n  "model_algorithm": "resnet"\n  "model_type": "PyTorch"\n}\n'},
        {}, ["model/config.json:3:3", "a comma is missing or surplus on the line before"]),
    "missing-field": (
        package() | {CONFIG: {"model_type": "PyTorch", "metrics": {"f1": 0.9}}},
        {}, ["model/config.json:1:1", "Add it", '"model_algorithm"']),
    "wrong-value": (
        package(model_type="PyTroch"),
        {}, ["model/config.json:3:17", "Did you mean PyTorch?"]),
    "several-faults": (
        {CONFIG: config(metrics={"f1": 2}, runtime="nosuch"), "model/readme.md": "read me"},
        {}, ["model/config.json:5:11", "a number from 0 to 1"]),
    "model-file-missing": (
        {CONFIG: config(model_type="ONNX"), "model/resnet50.pt": "weights"},
        {}, ["resnet50/model", "This looks like PyTorch"]),
    "model-file-ambiguous": (
        package() | {"model/best.pt": "weights"},
        {}, ["best.pt", "resnet50.pt", "Move the others out"]),
    "child-nearest": (
        {"models/config.json": config(), "models/resnet50.pt": "weights"},
        {}, ["no folder model", "--child models"]),
    "child-is-the-source": (
        {"config.json": config(), "resnet50.pt": "weights"},
        {}, ["no folder model", "--child ."]),
    "file-too-large": (
        package() | {"model/resnet50.pt": 3 << 20},
        {"arguments": ["--set", "limits.model_file_gib=0.001"]},
        ["resnet50.pt is 3.0 MiB", "shards"]),
    "link-outside": (
        package(), {"links": {"model/vocabulary.txt": "../../common/vocabulary.txt"}},
        ["model/vocabulary.txt", "cp --remove-destination"]),
    "lfs-pointer": (
        package() | {"model/resnet50.pt": "version https://git-lfs.github.com/spec/v1\n"
                                          f"oid sha256:{'0' * 64}\nsize 102400\n"},
        {}, ["resnet50.pt", "git lfs pull"]),
    "disagrees": (
        package(), {"arguments": ["--type", "ONNX"]},
        ["model/config.json:3:17", "Change one of them: line 3 of model/config.json to ONNX"]),
    "hugging-face": (
        {CONFIG: {"architectures": ["LlamaForCausalLM"], "model_type": "llama",
                  "transformers_version": "4.40.0"}, "model/model.safetensors": "weights"},
        {}, ["model/config.json:2:20", "`waybill init resnet50`"]),
}


def normal(output, directory):
    """Without what differs from run to run: times, and the folder (its name is as long as what stands
    for it, so that lines break in the same places)."""
    output = output.replace("\r\n", "\n").replace(directory, "/tmp/wb-12345678")
    return re.sub(r"\b\d\d:\d\d:\d\d\b", "12:00:00", output)


@pytest.fixture
def directory():
    """Of a short name: it stands in sentences and commands."""
    name = tempfile.mkdtemp(prefix="wb-", dir="/tmp")  # and 8 characters
    yield Path(name)
    shutil.rmtree(name)


def import_on_terminal(directory, base_layout, case, language, colour, monkeypatch):
    files, how, _ = CASES[case]
    monkeypatch.chdir(directory)
    (directory / "common").mkdir()
    (directory / "common/vocabulary.txt").write_text("words")
    write_package("resnet50", files, how.get("links"))
    waybill = Waybill(directory / "data")
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    environment = waybill.environment | {"WAYBILL_LANG": language, "TZ": "UTC", "TERM": "xterm",
                                         "NO_COLOR": "" if colour else "1"}
    status, output = run_on_terminal(
        [waybill.program, "import", "resnet50", *how.get("arguments", [])], environment)
    assert status == 1, output
    return normal(output, str(directory))


@pytest.mark.parametrize("look", ["plain", "colour"])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_as_it_was_read(directory, base_layout, case, language, look, monkeypatch):
    output = import_on_terminal(directory, base_layout, case, language, look == "colour",
                                monkeypatch)
    golden = GOLDEN / f"{case}.{language}.{look}.txt"
    if os.environ.get("WAYBILL_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(output)
    assert output == golden.read_text()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("case", CASES)
def test_the_first_five_lines_name_place_and_repair(case, language):
    plain = (GOLDEN / f"{case}.{language}.plain.txt").read_text()
    colour = (GOLDEN / f"{case}.{language}.colour.txt").read_text()
    assert ESCAPE.sub("", colour) == plain and ESCAPE.search(colour)
    assert max(width(line) for line in plain.splitlines()) <= 80
    answer = plain.split("\n\n")[1].splitlines()
    assert sum(line.startswith(("  1. ", "  2. ", "  3. ")) for line in answer) in (1, 2, 3)
    if language == "en":
        first = " ".join(line.strip() for line in answer[:5])
        for words in CASES[case][2]:
            assert words in first, (words, first)


@pytest.fixture
def failed(ready, tmp_path):
    """`ready` with a failed import of several faults, resnet50:0.0.1."""
    files, _, _ = CASES["several-faults"]
    write_package(tmp_path / "resnet50", files)
    assert ready.run("import", tmp_path / "resnet50").returncode == 1
    return ready


@pytest.mark.parametrize("how", ["resnet50", "resnet50:0.0.1", "id"])
def test_explain_says_it_again_when_the_source_is_gone(failed, tmp_path, how):
    shutil.rmtree(tmp_path / "resnet50")
    model = json.loads(failed.run("show", "resnet50", "--json").stdout)["model_id"] \
        if how == "id" else how
    events = failed.run("events", "resnet50", "--json").events
    cause = events[-1]["cause"]
    explained = failed.run("explain", f"{model}#{cause}", check=True).stdout
    assert "model/config.json:5:11: /metrics/f1 is 2." in explained
    assert '   5 |     "f1": 2' in explained and "     |           ^" in explained
    assert "waybill explain ConfigValueInvalid" in explained
    alone = failed.run("explain", model, check=True).stdout
    assert explained.splitlines()[:6] == alone.splitlines()[:6] and "2 more: " in alone
    assert json.loads(failed.run("explain", f"{model}#{cause}", "--json").stdout) \
        == events[cause - 1]
    chinese = failed.run("explain", f"{model}#{cause}", "--lang", "zh", check=True).stdout
    assert "/metrics/f1 为 2。" in chinese and "处理  " in chinese


def test_explain_of_a_normal_event_and_of_the_end(failed):
    assert "Start model import." in failed.run("explain", "resnet50#1", check=True).stdout
    last = failed.run("events", "resnet50", "--json").events[-1]
    end = failed.run("explain", f"resnet50#{last['seq']}", check=True).stdout
    assert "ImportFailed" in end and "model/config.json:5:11: " in end and "2 more: " in end


@pytest.mark.parametrize("seq", ["0", "99", "x", "", "-1"])
def test_explain_names_the_events_that_exist(failed, seq):
    last = failed.run("events", "resnet50", "--json").events[-1]["seq"]
    result = failed.run("explain", f"resnet50#{seq}")
    assert result.returncode == 1 and result.stdout == ""
    assert f"its events are #1 to #{last}" in result.stderr


def test_explain_of_what_did_not_fail(ready, tmp_path):
    write_package(tmp_path / "fine", {CONFIG: {"model_algorithm": "a", "model_type": "Custom"},
                                      "model/w.bin": "w"})
    ready.run("import", tmp_path / "fine", check=True)
    result = ready.run("explain", "fine")
    assert result.returncode == 1 and "has not failed: its status is published" in result.stderr
    assert ready.run("explain", "nosuch#1").returncode == 1


def test_a_reason_stays_a_reason(ready, tmp_path):
    write_package(tmp_path / "broken", CASES["wrong-value"][0])
    ready.run("import", tmp_path / "broken", "--name", "ImageBuilt")
    assert "Image built successfully" in ready.run("explain", "ImageBuilt", check=True).stdout
    for name in "ImageBuilt:0.0.1", "ImageBuilt#2":
        assert "Did you mean PyTorch?" in ready.run("explain", name, check=True).stdout


def test_the_house_speaks_wherever_steps_are_shown(failed, tmp_path):
    settings = tmp_path / "waybill.conf"
    settings.write_text("[support]\ncontact = ops@example.org\ncontact_zh = 分机 8420\n[advice]\n"
                        "ConfigValueInvalid.value = Ask {support.contact} about {pointer}.\n")
    common = ["--config-file", settings]
    said = "Ask ops@example.org about /metrics/f1."
    shown = failed.run("retry", "resnet50", *common).stdout
    assert "  2. " + said in shown.split("\n\n")[1]
    events = failed.run("events", "resnet50", "--json").events
    assert events[-1]["advice"][1] == said and events[-1]["advice_cn"][1].startswith("Ask 分机 8420")
    checked = ["check", tmp_path / "resnet50", *common]
    assert said in failed.run(*checked, "--json").stdout
    assert said in failed.run(*checked, "--format", "github").stdout
    assert said in failed.run("explain", f"resnet50#{events[-1]['cause']}", check=True).stdout
    assert "Ask {support.contact} about {pointer}." in failed.run(
        "explain", "ConfigValueInvalid", *common, check=True).stdout
    settings.write_text("[advice]\n\nConfigValueInvalid.valu = x\n")
    refused = failed.run("models", *common)
    assert refused.returncode == 2 and f"{settings} line 3: advice.ConfigValueInvalid.valu: " \
        "ConfigValueInvalid has no kind valu; its kinds: syntax, missing, value" in refused.stderr


def test_the_contact_stands_where_the_original_says_technical_support(ready, tmp_path):
    write_package(tmp_path / "resnet50", CASES["model-file-missing"][0])
    shown = ready.run("import", tmp_path / "resnet50", "--set", "support.contact=ops@example.org")
    answer = shown.stdout.split("\n\n")[1]
    assert "  contact   ops@example.org\n" in answer
    [finding] = [event for event in ready.run("events", "resnet50", "--json").events
                 if event["reason"] == "ModelFileMissing"]
    assert finding["solution"].endswith("or contact technical support.")


HOSTILE = "\x1b]0;owned\x07\u202eevil\x9b2J\t"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_and_long_values_leave_the_terminal_alone(ready, tmp_path, language, monkeypatch):
    long = "模" * 1000 + "x" * 1000
    text = '{"model_algorithm": "a", "note": "%s", "model_type": "%s",\t"x": "%s"}\n' % (
        long, HOSTILE + long, long)
    write_package(tmp_path / "resnet50", {CONFIG: text, "model/" + "n" * 250 + ".pt": "w",
                                          "model/\x1b[31mred\u202e": "w"})
    environment = ready.environment | {"WAYBILL_LANG": language, "TZ": "UTC"}
    for command in (["import", tmp_path / "resnet50"], ["check", tmp_path / "resnet50"],
                    ["events", "resnet50", "--type", "problems"], ["explain", "resnet50"]):
        _, output = run_on_terminal([ready.program, *map(str, command)], environment)
        lines = output.replace("\r\n", "\n").split("\n")
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", "".join(lines)), command
        assert max(map(width, lines)) <= 80, command
    answer = "\n".join(lines)
    marked = next(line for line in lines if "   1 | " in line)
    caret = lines[lines.index(marked) + 1]
    start = caret.index("^")
    before = ""
    for character in marked:
        if width(before) >= start:
            break
        before += character
    assert width(before) == start and before.endswith('"model_type": "'), (marked, caret)
    assert "ModelFilesCopyFailed" in answer  # the name with an escape in it


def test_every_rule_has_chinese_words():
    """The closed sets of what was expected, as the source has them."""
    source = Path(__file__).resolve().parents[2] / "src"
    rows = re.findall(r'^PHRASE\("((?:[^"\\]|\\.)*)", "', (source / "event/phrases.def").read_text(),
                      re.MULTILINE)
    patterns = [re.compile(".+".join(map(re.escape, row.split("%")))) for row in rows]
    rules = set()
    for path in (source / "model").glob("*.c"):
        text = path.read_text()
        rules |= set(re.findall(r'\.expected = "((?:[^"\\]|\\.)*)"(?=\s*[,}\\])', text))
        rules |= set(re.findall(r'define [A-Z]+_RULE "((?:[^"\\]|\\.)*)"', text))
        rules |= set(re.findall(r'"(one \*(?:[^"\\]|\\.)*)"', text))
    for path in (source / "scan").glob("*.c"):  # why a file was not read to its end
        code = re.sub(r'/\*.*?\*/|"\s*\n\s*"', "", path.read_text(), flags=re.DOTALL)
        rules |= set(re.findall(r'"((?:it|its|an?|more|archives|bytes|the) (?:[^"\\]|\\.)*)"', code))
    assert len(rules) > 60
    assert not [rule for rule in rules if not any(one.fullmatch(rule) for one in patterns)]


def test_a_caret_stands_right_behind_wide_characters_and_tabs(ready, tmp_path):
    write_package(tmp_path / "resnet50", {
        CONFIG: '{"model_algorithm": "a图像分类",\t"model_type": "分类"}', "model/w.pt": "w"})
    shown = ready.run("check", tmp_path / "resnet50").stdout.splitlines()
    marked = next(i for i, line in enumerate(shown) if "   1 | " in line)
    before, behind = shown[marked].split('"分类"')
    assert before.endswith(' "model_type": ')
    assert shown[marked + 1] == " " * 9 + "|" + " " * (width(before) - 10) + "^" * width('"分类"')
