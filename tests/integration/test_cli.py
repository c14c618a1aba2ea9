"""The command line as people and scripts meet it: help, usage, languages, colours, widths, pipes."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from conftest import PROGRAM, ROOT
from oci_layout import damage, make_base
from terminal import ESCAPE, run_on_terminal, shown_lines, width

COMMON = ["--data", "--project", "--config-file", "--set", "--lang", "--color", "--utc", "--quiet",
          "--help"]
OPTIONS = {
    "import": ["--name", "--version", "--type", "--runtime", "--config", "--child",
               "--description", "--format", "--json"],
    "check": ["--type", "--runtime", "--config", "--child", "--format", "--json"],
    "events": ["--follow", "--type", "--after", "--json"],
    "wait": ["--timeout"],
    "models": ["--status", "--name", "--json"],
    "show": ["--json"],
    "log": ["--follow", "--attempt"],
    "explain": ["--json"],
    "retry": ["--json"],
    "cancel": [],
    "delete": ["--all-versions"],
    "runtime": ["--image", "--engine", "--json"],
}


def commands():
    """Those that the program itself lists."""
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True)
    return re.findall(r"^  ([a-z]+) ", done.stdout, re.MULTILINE)


@pytest.fixture
def imported(ready, package):
    """One sound model and one that failed."""
    ready.run("import", package(), "--name", "sound", check=True)
    broken = package(config={"model_type": "Nonsense", "metrics": {"accuracy": 97}}, name="broken")
    assert ready.run("import", broken, "--name", "broken").returncode == 1
    return ready


def wrong_usage(result, *words):
    assert result.returncode == 2, str(result)
    assert result.stdout == "", str(result)
    for word in words:
        assert word in result.stderr, str(result)


# -- help and usage --

def test_help_lists_the_commands_of_this_version():
    assert set(OPTIONS) <= set(commands())


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_that_names_its_options(waybill, command):
    result = waybill.run(command, "--help", check=True)
    assert result.stderr == ""
    assert f"waybill {command}" in result.stdout
    for option in OPTIONS.get(command, []) + COMMON:
        assert re.search(rf"{option}\b", result.stdout), option
    assert waybill.run("help", command, check=True).stdout == result.stdout
    assert waybill.run(command, "-h", check=True).stdout == result.stdout
    assert not waybill.data.exists()


def test_help_without_a_command(waybill):
    texts = {waybill.run(*arguments, check=True).stdout
             for arguments in (["--help"], ["-h"], ["help"])}
    assert len(texts) == 1
    assert all(width(line) <= 80 for line in texts.pop().splitlines())


def test_version_alone_is_the_programs(waybill):
    version = re.search(r"version: '(.*?)'", (ROOT / "meson.build").read_text())[1]
    assert waybill.run("--version", check=True).stdout == f"waybill {version}\n"


@pytest.mark.parametrize("arguments, words", [
    ([], ["usage: waybill COMMAND"]),
    (["frobnicate"], ["there is no command frobnicate", "waybill --help"]),
    (["--frobnicate"], ["there is no option --frobnicate"]),
    (["models", "--frobnicate"], ["--frobnicate", "usage: waybill models", "--help"]),
    (["--frobnicate", "models"], ["--frobnicate"]),
    (["models", "surplus"], ["surplus"]),
    (["events"], ["MODEL is missing", "usage: waybill events MODEL"]),
    (["events", "a", "b"], ["one argument too many: b"]),
    (["events", "a", "--after", "x"], ["--after", "x"]),
    (["events", "a", "--type", "odd"], ["--type odd", "abnormal", "problems"]),
    (["models", "--status", "odd"], ["--status odd", "published"]),
    (["models", "--lang", "de"], ["--lang de", "en or zh"]),
    (["models", "--color", "odd"], ["--color odd", "auto, always or never"]),
    (["models", "--set", "limits"], ["--set limits", "section.key=value"]),
    (["models", "--set", "limits.odd=1"], ["--set", "limits.odd"]),
    (["models", "--set", "limits.model_gib=0"], ["--set", "limits.model_gib", '"0"', "GiB"]),
    (["models", "--version"], ["--version"]),
    (["explain", "ModelFileMissin"], ["ModelFileMissin", "did you mean ModelFileMissing?"]),
    (["explain", "Xyzzy"], ["Xyzzy", "waybill explain"]),
    (["runtime", "add", "name"], ["--image"]),
    (["runtime", "frobnicate"], ["frobnicate"]),
    (["import", "/nonexistent/folder"], ["/nonexistent/folder"]),
    (["import", "b:1", "--type", "Image"], ["SOURCE", "b:1"]),
    (["import", "s3://B/folder"], ["s3://BUCKET/DIR", "lower-case"]),
    (["import", "oci:folder:tag"], ["--type Image"]),
])
def test_wrong_usage_is_said_and_records_nothing(waybill, arguments, words):
    wrong_usage(waybill.run(*arguments), *words)
    assert not waybill.data.exists()


def test_common_options_stand_before_or_after_the_command(imported, tmp_path):
    other = str(tmp_path / "nowhere")
    for arguments in (["--data", other, "models"], ["models", "--data", other],
                      [f"--data={other}", "models"]):
        result = imported.run(*arguments)
        assert result.returncode == 3 and other in result.stderr, str(result)
    assert imported.run("--lang", "zh", "explain", "ModelImported").stdout == \
        imported.run("explain", "--lang", "zh", "ModelImported").stdout
    assert imported.run("--set", "limits.model_gib=1", "models").stdout == \
        imported.run("models", "--set=limits.model_gib=1").stdout != ""


def test_of_an_option_given_twice_the_last_counts(imported, tmp_path):
    sound = imported.run("events", "sound", check=True).stdout
    assert imported.run("--data", tmp_path / "nowhere", "events", "sound", "--data",
                        imported.data, check=True).stdout == sound
    assert "模型导入成功" in imported.run("explain", "ModelImported", "--lang", "en", "--lang", "zh",
                                    check=True).stdout.splitlines()[1]
    problems = imported.run("events", "broken", "--type", "normal", "--type", "problems", "--json")
    assert {event["event_type"] for event in problems.events} == {"abnormal"}
    assert imported.run("check", "--set", "limits.model_gib=1", "--set", "limits.model_gib=0",
                        ROOT / "examples/digits").returncode == 2


# -- settings --

@pytest.mark.parametrize("text, line, words", [
    ("[limits]\nmodel_gibs = 3\n", 2, ["there is no setting limits.model_gibs"]),
    ("# a\n\n[odd]\nkey = 3\n", 4, ["there is no setting odd.key"]),
    ("[limits]\n\nmodel_gib = many\n", 3, ["limits.model_gib", '"many"', "a number of GiB"]),
    ("[limits]\nmodel_gib = 1\nmodel_gib = -1\n", 3, ["limits.model_gib", '"-1"']),
    ("[limits]\nmodel_gib = 3\nnonsense\n", 3, ["nonsense"]),
    ("model_gib = 3\n[limits]\n", 1, []),
    ("[limits\nmodel_gib = 3\n", 1, []),
    ("[limits]\nmodel_gib[zh] = 3\n", 2, ["model_gib[zh]"]),
    ("[limits]\nmodel_gib = \\q\n", 2, ["model_gib"]),
])
def test_a_fault_of_the_settings_names_file_and_line(imported, tmp_path, text, line, words):
    file = tmp_path / "waybill.conf"
    file.write_text(text)
    wrong_usage(imported.run("models", "--config-file", file), f"{file} line {line}: ", *words)
    wrong_usage(imported.run("models", env={"WAYBILL_CONFIG_FILE": str(file)}), f"line {line}: ")


def test_settings_file_environment_and_option_rank_in_this_order(ready, package, tmp_path):
    file = tmp_path / "waybill.conf"
    file.write_text("[limits]\nmodel_gib = 0.000000001\n")

    def limit(*arguments, env=None):
        found = ready.run("check", package(), "--json", "--config-file", file, *arguments, env=env)
        return [finding["params"]["limit"] for finding in json.loads(found.stdout)["findings"]]

    assert limit() == ["0.000000001"]
    assert limit(env={"WAYBILL_LIMITS_MODEL_GIB": "0.000000002"}) == ["0.000000002"]
    assert limit("--set", "limits.model_gib=0.000000003",
                 env={"WAYBILL_LIMITS_MODEL_GIB": "0.000000002"}) == ["0.000000003"]
    assert limit("--set", "limits.model_gib=1") == []


# -- the data directory --

def test_an_unusable_data_directory_is_exit_status_3(ready, package, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "waybill.db").write_bytes(b"no database" * 1000)
    for data in (file, "/proc/nothing", file / "beneath", damaged):
        for arguments in (["import", package()], ["models"], ["events", "sound"]):
            result = ready.run(*arguments, "--data", data)
            assert result.returncode == 3, str(result)
            assert str(data) in result.stderr, str(result)
            assert result.stdout == ""


def test_looking_makes_no_data_directory(waybill, package):
    for arguments in (["models"], ["events", "a"], ["show", "a"], ["log", "a"], ["retry", "a"],
                      ["cancel", "a"], ["delete", "a"], ["runtime", "list"]):
        assert waybill.run(*arguments).returncode == 3
    waybill.run("check", package())
    assert not waybill.data.exists()


def test_a_model_that_is_not_there_is_exit_status_1(imported):
    for command in ("events", "show", "log", "retry", "cancel", "delete"):
        result = imported.run(command, "nobody")
        assert result.returncode == 1 and "there is no model nobody" in result.stderr, str(result)


# -- languages and colours --

def catalogue():
    return json.loads((ROOT / "tests/data/events.json").read_text())


def test_explain_json_has_the_catalogue_letter_by_letter(waybill):
    shown = {row["no"]: row for row in json.loads(waybill.run("explain", "--json").stdout)
             if row["no"] is not None}
    assert sorted(shown) == list(range(1, 46))
    for row in catalogue():
        mine = shown[row["no"]]
        for key in ("reason", "type", "zh", "en", "params", "solution_zh", "solution_en", "faq"):
            assert mine[key] == row[key], (row["reason"], key)
        assert mine["ours"] is False
        assert all(mine[key] for key in ("when_en", "when_zh", "causes_en", "causes_zh",
                                         "advice_en", "advice_zh", "example")), row["reason"]


@pytest.mark.parametrize("row", catalogue(), ids=lambda row: row["reason"])
def test_explain_shows_message_and_solution_in_both_languages(waybill, row):
    for language in ("en", "zh"):
        shown = waybill.run("explain", row["reason"], "--lang", language, check=True).stdout
        assert row[language] in shown
        assert (row["solution_" + language] or "") in shown
    number = [one["reason"] for one in
              json.loads(waybill.run("explain", row["reason"], "--json").stdout)]
    assert number == [row["reason"]]


@pytest.mark.parametrize("arguments, env, chinese", [
    (["--lang", "zh"], {"WAYBILL_LANG": "en"}, True),
    (["--lang", "en"], {"WAYBILL_LANG": "zh"}, False),
    ([], {"WAYBILL_LANG": "zh"}, True),
    ([], {"WAYBILL_LANG": "zh_CN"}, True),
    ([], {"WAYBILL_LANG": "", "LC_ALL": "zh_CN.UTF-8"}, True),
    ([], {"WAYBILL_LANG": "", "LC_ALL": "", "LANG": "zh_CN.UTF-8"}, True),
    ([], {"WAYBILL_LANG": "", "LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, False),
    ([], {"WAYBILL_LANG": "en", "LC_ALL": "zh_CN.UTF-8"}, False),
])
def test_language_is_the_options_then_the_variables_then_the_locales(imported, arguments, env,
                                                                     chinese):
    shown = imported.run("events", "sound", *arguments, env=env, check=True).stdout
    assert ("模型导入成功。" in shown) == chinese
    assert ("Model imported successfully." in shown) != chinese


LOOKING = [["events", "broken"], ["events", "sound"], ["models"], ["show", "sound"],
           ["explain", "ModelImported"], ["log", "sound"], ["runtime", "list"]]


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_pipes_have_no_control_codes_unless_asked_for(imported, command):
    plain = imported.run(*command, env={"NO_COLOR": ""}).stdout
    assert plain and "\x1b" not in plain and "\r" not in plain
    colored = imported.run(*command, "--color", "always", env={"NO_COLOR": "1"}).stdout
    assert ESCAPE.sub("", colored) == plain
    assert ("\x1b" in colored) or command[0] == "show"


def on_terminal(waybill, *arguments, env=None, columns=80):
    environment = waybill.environment | {"TERM": "xterm", "TZ": "UTC"} | (env or {})
    return run_on_terminal([waybill.program, *map(str, arguments)], environment, columns)


@pytest.mark.parametrize("arguments, env, colored", [
    ([], {"NO_COLOR": ""}, True),
    ([], {"NO_COLOR": "1"}, False),
    ([], {"NO_COLOR": "", "TERM": "dumb"}, False),
    (["--color", "never"], {"NO_COLOR": ""}, False),
    (["--color", "always"], {"NO_COLOR": "1"}, True),
])
def test_a_terminal_has_colours_unless_told_otherwise(imported, arguments, env, colored):
    status, output = on_terminal(imported, "events", "broken", *arguments, env=env)
    assert status == 0
    assert bool(ESCAPE.search(output)) == colored


def test_a_terminal_has_a_heading_and_a_pipe_has_none(imported):
    assert on_terminal(imported, "events", "sound")[1].split()[:2] == ["#", "Time"]
    assert imported.run("events", "sound").stdout.split()[0] == "1"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("columns", [80, 132])
def test_output_fits_the_terminal(ready, package, language, columns):
    wide = "模型包" * 12
    sound = package(name=wide, files={f"model/{'字' * 30}.bin": "x" * 5000})
    broken = package(name="broken", config={
        "model_type": "很长的类型" * 20, "metrics": {"accuracy": 97},
        "dependencies": [{"installer": "pip", "packages": [
            {"package_name": "numpy", "package_version": "1.0"}]}],
        "description " + "long " * 60: 1})
    missing = package(name="missing", config={"model_type": "PyTorch"})
    runs = [("import", sound, "--name", wide), ("import", broken, "--name", "broken"),
            ("import", missing, "--name", "missing"), ("models",), ("show", wide),
            ("events", wide), ("events", "broken"), ("explain",), ("explain", "ModelFileMissing"),
            ("explain", "ConfigValueInvalid"), ("check", missing), ("runtime", "list")]
    for arguments in runs:
        status, output = on_terminal(ready, *arguments, env={"WAYBILL_LANG": language},
                                     columns=columns)
        assert status in (0, 1), output
        for line in shown_lines(output):
            unbroken = re.search(r"\S{%d,}" % (columns // 2 - 12), line)  # a path, a digest
            assert width(line) <= columns or unbroken, (arguments, width(line), line)


# -- what other programs read --

def test_events_filter(imported):
    events = imported.run("events", "broken", "--json", check=True).events
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    problems = imported.run("events", "broken", "--type", "problems", "--json").events
    assert problems == [event for event in events if event["event_type"] != "normal"] != []
    assert imported.run("events", "broken", "--type", "normal", "--json").events == events[:1]
    assert imported.run("events", "broken", "--type", "hint", "--json").events == []
    for after in range(len(events) + 2):
        assert imported.run("events", "broken", "--after", after, "--json").events == events[after:]
    assert imported.run("events", "broken", "--after", 1, "--type", "normal,abnormal",
                        "--json").events == events[1:]


def test_every_json_line_parses_and_nothing_else_is_printed(ready, package):
    broken = package(config={"model_type": "Nonsense"}, name="broken")
    for arguments in (["import", package(), "--name", "sound"],
                      ["import", broken, "--name", "broken"], ["retry", "broken"],
                      ["events", "sound"], ["events", "broken"], ["models"], ["show", "sound"],
                      ["check", broken], ["check", package(name="other")], ["explain"],
                      ["explain", "ModelImported"], ["runtime", "list"]):
        for extra in ([], ["--lang", "zh", "--color", "always"]):
            result = ready.run(*arguments, "--json", *extra)
            assert result.returncode in (0, 1), str(result)
            assert result.stdout.endswith("\n") and "\x1b" not in result.stdout
            for line in result.stdout.splitlines():
                json.loads(line)


def test_import_prints_the_events_that_the_store_keeps(ready, package):
    printed = ready.run("import", package(), "--name", "sound", "--json", check=True).stdout
    assert printed == ready.run("events", "sound", "--json", check=True).stdout


def test_quiet_says_nothing_of_a_sound_import(ready, package):
    result = ready.run("import", package(), "--name", "sound", "--quiet", check=True)
    assert result.stdout + result.stderr == ""


@pytest.mark.parametrize("command", [["explain"], ["explain", "--json"], ["events", "sound"],
                                     ["models", "--json"]], ids=" ".join)
def test_a_reader_that_goes_away_ends_the_program_quietly(imported, command):
    reading, writing = os.pipe()
    os.close(reading)
    child = imported.start(*command, stdout=writing, preexec_fn=lambda: signal.signal(
        signal.SIGPIPE, signal.SIG_DFL))
    os.close(writing)
    assert child.communicate()[1] == ""
    assert child.returncode in (0, -signal.SIGPIPE)


def test_an_import_whose_reader_went_away_can_be_gone_on_with(ready, package):
    reading, writing = os.pipe()
    os.close(reading)
    child = ready.start("import", package(), "--name", "sound", stdout=writing,
                        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL))
    os.close(writing)
    child.communicate()
    ready.run("retry", "sound", check=True)
    reasons = [event["reason"] for event in ready.run("events", "sound", "--json").events]
    assert reasons[-1] == "ModelImported" and reasons.count("ImportStarted") == 1


def test_a_full_output_is_an_error(imported):
    with open("/dev/full", "w") as full:
        child = imported.start("events", "sound", stdout=full)
        assert "standard output" in child.communicate()[1]
    assert child.returncode == 3


def test_base_that_cannot_be_used_leaves_no_data_directory(waybill, tmp_path):
    layout = tmp_path / "layout"
    make_base(layout)
    for what in ("layer:flipped", "layer:missing", "manifest:missing", "index.json:garbage", None):
        bad, tag = tmp_path / f"bad-{what}", "latest" if what else "other"
        shutil.copytree(layout, bad)
        if what:
            damage(bad, dict([what.split(":")]))
        refused = waybill.run("runtime", "add", "base", "--image", f"oci:{bad}:{tag}")
        assert refused.returncode == 1 and refused.stderr and not refused.stdout, str(refused)
        assert not waybill.data.exists(), str(refused)
    assert waybill.run("runtime", "add", "base", "--image", f"oci:{tmp_path}/nowhere:x").returncode == 1
    assert not waybill.data.exists()
