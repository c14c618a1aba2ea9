"""The kinds of diagnosis: what their advice names exists, and what the sources set has a row."""
import json
import pathlib
import re

import pytest

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src"

# How the sources set a kind beside event_with_kind(event_reason(…), "kind"): a function of theirs
# whose argument or whose answer is the kind, and the reason that it is of.
ARGUMENTS = [
    (r'\bcheck_fault\(check, "(\w+)"', "ConfigValueInvalid"),
    (r'\breport_whole\(check, "(\w+)"', "ConfigValueInvalid"),
    (r'\bfinding_of_member\([^;]*?"\w+",\s*"(\w+)"', "ConfigValueInvalid"),
    (r'\bfinding_of\((?:"\."|[^;"(),]+),\s*[^;"(),]+,\s*"(\w+)"', "ModelFilesCopyFailed"),
    (r'\bevent_not_found\(\w+,\s*"(\w+)"', "SourceImageNotFound"),
]
ANSWERS = {"reading_kind": "ConfigValueInvalid", "link_fault": "ModelFilesCopyFailed",
           "error_kind": "ImageBuildSystemError",
           "failure_kind": "ImageBuildFailedSeeLog",
           "tag_list_kind": "ImageTagListFailed", "unreachable_name": "ImageTagListFailed",
           "login_kind": "SourceImageTokenExpired", "push_kind": "ImageBuildFailed",
           "s3_event_kind": "ModelFilesCopyFailed",
           "create_kind": "BucketCreateFailed"}


@pytest.fixture(scope="module")
def source_text():
    return {path: path.read_text() for path in sorted(SOURCES.rglob("*.c"))}


def camel(function):
    return "".join(part.capitalize() for part in function.split("_"))


def kinds_set(texts):
    """(reason in lower case, kind) of every kind that the sources set."""
    found = set()
    for path, text in texts.items():
        if path.parent.name == "event":
            continue
        for call in re.finditer(r"event_with_kind\(", text):
            # The rest of the statement begins with event_reason(…), and holds the kinds.
            statement = text[call.end():text.index(";", call.end())]
            reason = re.match(r"\s*event_(\w+)\(", statement)
            if reason:
                found |= {(camel(reason[1]).lower(), kind) for kind in
                          re.findall(r'\),\s*"(\w+)"\)', statement)[:1]}
                found |= {(camel(reason[1]).lower(), kind) for kind in
                          re.findall(r'[?:] "(\w+)"', statement)}
        for pattern, reason in ARGUMENTS:
            found |= {(reason.lower(), kind) for kind in re.findall(pattern, text)}
        for name, reason in ANSWERS.items():
            body = re.search(r"\*%s\(.*?\n}" % name, text, re.S)
            if body:
                lines = re.findall(r"return[^;]*;", body[0])
                found |= {(reason.lower(), kind) for line in lines
                          for kind in re.findall(r'"(\w+)"', re.sub(r'\([^)]*"[^)]*\)', "", line))}
    return found


@pytest.fixture
def catalogue(waybill):
    return json.loads(waybill.run("explain", "--json", check=True).stdout)


def test_every_kind_that_is_set_has_a_row(catalogue, source_text):
    rows = {(row["reason"].lower(), kind["kind"]) for row in catalogue for kind in row["kinds"]}
    found = kinds_set(source_text)
    assert len(found) > 25, found
    assert {("configvalueinvalid", "value"), ("modelfilescopyfailed", "link_outside"),
            ("imagebuildsystemerror", "disk_full"), ("imagebuildfailed", "base_unusable"),
            ("sourceimagenotfound", "platform")} <= found
    assert not found - rows
    named = {row for row in rows if row[1]}
    assert not named - found, "rows that nothing sets"


def test_every_kind_shows_what_it_says(catalogue):
    for kind in (kind for row in catalogue for kind in row["kinds"]):
        for said in (kind["said_en"], kind["said_zh"]):
            assert said["summary"] and said["advice"], kind
            assert not re.search(r"\{\??[a-z_.]*[:}]", said["summary"] + "".join(said["advice"])), said


def commands(texts):
    for text in texts:
        for command in re.findall(r"`waybill ([^`]*)`", text):
            yield re.sub(r"\{\?([^{}]*(?:\{[^{}]*\})?[^{}]*)\}", r"\1", command)


def test_every_command_of_an_advice_exists(catalogue, waybill):
    helps = {}
    texts = [text for row in catalogue for kind in row["kinds"]
             for key in ("summary_en", "summary_zh") for text in [kind[key]]]
    texts += [step for row in catalogue for kind in row["kinds"]
              for key in ("advice_en", "advice_zh") for step in kind[key]]
    seen = set(commands(texts))
    assert len(seen) > 8, seen
    for command in seen:
        words = command.split()
        verb = words[:2] if words[0] == "runtime" else words[:1]
        name = " ".join(verb)
        if name not in helps:
            helps[name] = waybill.run(*verb, "--help", check=True).stdout
        for option in re.findall(r"--[a-z-]+", command):
            assert re.search(r"%s\b" % re.escape(option), helps[name]), (command, option)
    bare = {option for text in texts for option in re.findall(r"`(--[a-z-]+)", text)}
    assert all(option in helps["import"] for option in bare), bare


def test_explain_lists_the_kinds(waybill):
    shown = waybill.run("explain", "ModelFilesCopyFailed", check=True).stdout
    assert "link_outside: you can mend it yourself" in shown
    assert "cp --remove-destination" in shown
    shown = waybill.run("explain", "ImageBuildSystemError", "--lang", "zh", check=True).stdout
    assert "disk_full: 需要管理员处理" in shown


@pytest.mark.parametrize("language, summary, step", [
    ("en", '/model_type is "PyTroch". Did you mean PyTorch? Expected ', "  1. In line 3 of "),
    ("zh", '/model_type 为 "PyTroch"。是否想写 PyTorch?应为 ', "  1. 若想写的是 PyTorch")])
def test_a_failed_import_answers(waybill, base_layout, package, language, summary, step):
    broken = package(config={"model_type": "PyTroch"}, name="broken")
    shown = waybill.run("import", broken, "--lang", language).stdout
    answer = shown.split("\n\n")[-1]
    assert answer.startswith("model/config.json:3:17: " + summary), shown
    assert step in answer and "waybill retry broken:0.0.1" in answer, shown
    events = waybill.run("events", "broken", "--json").events
    assert events[-1]["summary"] == events[-2]["summary"]
    assert events[-1]["fix_by"] == "you" and events[-1]["retryable"] is False


def test_a_finding_of_check_answers_without_a_model(waybill, package):
    """There is none yet that could be retried."""
    checked = waybill.run("check", package(config={"model_type": "PyTorch"}), "--json")
    [finding] = [one for one in json.loads(checked.stdout)["findings"]
                 if one["reason"] == "ModelFileMissing"]
    assert finding["summary"].startswith("PyTorch needs one *.pth or *.pt; ")
    assert "{" not in json.dumps(finding["advice"])


@pytest.mark.parametrize("files, config, step", [
    ({"model/out/best.pt": "x"}, {"model_type": "PyTorch"},
     "model/out/best.pt lies in a folder: move it up into the model folder, `mv "
     "{source}/model/out/best.pt {source}/model`."),
    ({"model/net.onnx": "x"}, {"model_type": "PyTorch"},
     "This looks like ONNX: set model_type to it, if that is meant."),
])
def test_a_missing_model_file_is_looked_for(waybill, package, files, config, step):
    source = package(files=files, config=config)
    checked = waybill.run("check", source, "--json")
    findings = json.loads(checked.stdout)["findings"]
    assert step.format(source=source) in [line for one in findings for line in one["advice"]], findings


@pytest.mark.parametrize("moved, step", [
    ("models", "Did you mean `waybill import {source} --child models`?"),
    (".", "You seem to have given the model folder itself: give its parent, or `waybill import "
          "{source} --child .`.")])
def test_a_missing_folder_is_looked_for(waybill, package, moved, step):
    source = package()
    if moved == ".":
        source = source / "model"
    else:
        (source / "model").rename(source / moved)
    [finding] = json.loads(waybill.run("check", source, "--json").stdout)["findings"]
    assert finding["reason"] == "ModelChildDirectoryMissing"
    assert step.format(source=source) in finding["advice"], finding
