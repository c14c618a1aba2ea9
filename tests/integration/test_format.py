"""--format: findings as CI systems read them."""
import json
import re
import xml.etree.ElementTree as xml

import pytest

from conftest import finish

FORMATS = ["github", "gitlab", "sarif", "junit", "markdown"]
NASTY = "50% off,a:b 模型 <&\"'>|*_"
FAULTS = {"model_type": "Nonsense", "metrics": {"accuracy": 97, "recall": 98}}
# "Workflow commands for GitHub Actions": what separates properties, and line ends, are escaped.
COMMAND = re.compile(r"^::(error|warning) ((?:[a-z]+=[^:,\r\n]+)(?:,[a-z]+=[^:,\r\n]+)*)::(.+)$")


def unescape(text, properties=False):
    for code, character in [("%0D", "\r"), ("%0A", "\n")] + (
            [("%3A", ":"), ("%2C", ",")] if properties else []) + [("%25", "%")]:
        text = text.replace(code, character)
    return text


def annotations(stdout):
    """[(command, properties, message)]; what stands between stop-commands and its token is none."""
    found, token = [], None
    for line in stdout.splitlines():
        if token:
            token = None if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        else:
            match = COMMAND.match(line)
            assert match, line
            assert not re.search("%(?!25|0D|0A|3A|2C)", match[2] + match[3]), line
            properties = dict(part.split("=", 1) for part in match[2].split(","))
            found.append((match[1], {key: unescape(value, True)
                                     for key, value in properties.items()}, unescape(match[3])))
    assert token is None
    return found


def sarif_results(text):
    """The results of a SARIF 2.1.0 log (OASIS), when its structure is that of the schema."""
    log = json.loads(text)
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json")
    assert set(log) == {"$schema", "version", "runs"}
    [run] = log["runs"]
    assert set(run) == {"tool", "columnKind", "results"}
    assert run["columnKind"] == "unicodeCodePoints"
    driver = run["tool"]["driver"]
    assert driver["name"] == "waybill" and re.fullmatch(r"\d+\.\d+\.\d+", driver["version"])
    rules = driver["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["defaultConfiguration"]["level"] in ("error", "warning")
        for key in ("shortDescription", "fullDescription", "help"):
            assert rule[key]["text"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning") and result["message"]["text"]
        assert len(result["partialFingerprints"]["waybill/v1"]) == 64
        [location] = result["locations"]
        place = location["physicalLocation"]
        assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2}|file:///)+",
                            place["artifactLocation"]["uri"])
        assert min(place["region"].values()) >= 1
    return run["results"]


def junit_cases(text):
    """[(name, its failure's message or None)]; the counts are those of the cases."""
    suites = xml.fromstring(text)
    [suite] = suites
    cases = [(case.get("name"), failure.get("message") if (failure := case.find("failure"))
              is not None else None) for case in suite]
    for element in (suites, suite):
        assert int(element.get("tests")) == len(cases)
        assert int(element.get("failures")) == sum(message is not None for _, message in cases)
    return cases


def check(waybill, source, name, *arguments, status=1, **options):
    result = waybill.run("check", source, "--format", name, *arguments, **options)
    assert result.returncode == status, str(result)
    return result


@pytest.fixture
def broken(package):
    """A package with three faults; its folder's name has all that formats must escape."""
    return package(config=FAULTS, name=NASTY)


def test_github_annotations_are_at_file_line_and_column(ready, broken):
    found = annotations(check(ready, broken, "github").stdout)
    assert [command for command, _, _ in found] == ["error"] * 3
    lines = (broken / "model/config.json").read_text().splitlines()
    for _, properties, message in found:
        assert properties["file"] == f"{broken}/model/config.json"
        assert properties["title"] == "ConfigValueInvalid"
        assert "\nfound: " in message and "\nexpected: " in message
        found_text = re.search("^found: (.*)$", message, re.M)[1]
        column = int(properties["col"]) - 1
        assert lines[int(properties["line"]) - 1][column:].startswith(found_text)


def test_github_takes_nothing_of_a_package_for_a_command(ready, package):
    source = package(config={"model_type": "::error::x\n::add-mask::y"}, name="package")
    found = annotations(check(ready, source, "github").stdout)
    assert [command for command, _, _ in found] == ["error"]


def test_gitlab_report_has_unique_and_stable_fingerprints(ready, broken):
    entries = json.loads(check(ready, broken, "gitlab").stdout)
    assert len(entries) == 3
    for entry in entries:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] == "major" and entry["check_name"] == "ConfigValueInvalid"
        assert entry["location"]["path"] == f"{broken}/model/config.json"
        assert entry["location"]["lines"]["begin"] > 1
    prints = [entry["fingerprint"] for entry in entries]
    assert len(set(prints)) == 3
    config = broken / "model/config.json"
    config.write_text("\n\n" + config.read_text())
    moved = json.loads(check(ready, broken, "gitlab", "--lang", "zh").stdout)
    assert [entry["fingerprint"] for entry in moved] == prints
    assert moved[0]["location"]["lines"]["begin"] == entries[0]["location"]["lines"]["begin"] + 2


def test_sarif_has_its_structure(ready, broken):
    results = sarif_results(check(ready, broken, "sarif").stdout)
    assert [result["ruleId"] for result in results] == ["ConfigValueInvalid"] * 3
    assert len({result["partialFingerprints"]["waybill/v1"] for result in results}) == 3


def test_junit_is_xml(ready, broken):
    cases = junit_cases(check(ready, broken, "junit").stdout)
    assert len(cases) == 3
    for name, message in cases:
        assert name.startswith(f"{broken}/model/config.json:")
        assert ". Expected " in message


def test_markdown_is_a_table(ready, broken):
    lines = check(ready, broken, "markdown").stdout.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 3 and "Errors: 3. Hints: 0." in lines
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == 5, row
    assert "model/config.json:" in rows[2]


@pytest.mark.parametrize("name", FORMATS)
def test_sound_package_is_an_empty_report(ready, package, name):
    text = check(ready, package(), name, status=0).stdout
    if name == "github":
        assert annotations(text) == []
    elif name == "gitlab":
        assert json.loads(text) == []
    elif name == "sarif":
        assert sarif_results(text) == []
    elif name == "junit":
        assert [message for _, message in junit_cases(text)] == [None]
    else:
        assert "Nothing was found." in text


@pytest.mark.parametrize("name", FORMATS)
def test_rows_are_beside_the_document(ready, broken, name):
    result = check(ready, broken, name)
    row = "Invalid model_type in config.json."
    assert (row in result.stderr) == (name != "github")
    quiet = check(ready, broken, name, "--quiet")
    assert quiet.stderr == ""
    if name == "github":
        assert len(annotations(quiet.stdout)) == len(quiet.stdout.splitlines()) == 3
    else:
        assert quiet.stdout == result.stdout


@pytest.mark.parametrize("written", ["pkg", "./pkg", "pkg/", "./pkg/"])
def test_files_are_named_as_the_source_is_written(ready, package, tmp_path, written):
    package(config=FAULTS, name="pkg")
    process = ready.start("check", written, "--format", "sarif", cwd=tmp_path)
    status, stdout, _ = finish(process)
    assert status == 1
    for result in sarif_results(stdout):
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert place == {"uri": "pkg/model/config.json", "uriBaseId": "%SRCROOT%"}


def test_config_of_the_request_is_named_as_it_is(ready, package, tmp_path):
    config = tmp_path / "other.json"
    config.write_text(json.dumps({"model_algorithm": "a", "model_type": "Nonsense"}))
    found = annotations(check(ready, package(), "github", "--config", config).stdout)
    assert [properties["file"] for _, properties, _ in found] == [str(config)]


def test_finding_without_a_line_names_its_file(ready, package):
    source = package(links={"model/out": "/etc/passwd"})
    [(command, properties, message)] = annotations(check(ready, source, "github").stdout)
    assert (command, properties) == ("error", {"file": f"{source}/model/out",
                                               "title": "ModelFilesCopyFailed"})
    [entry] = json.loads(check(ready, source, "gitlab").stdout)
    assert entry["location"] == {"path": f"{source}/model/out", "lines": {"begin": 1}}
    assert [name for name, _ in junit_cases(check(ready, source, "junit").stdout)] == [
        f"{source}/model/out"]
    sarif_results(check(ready, source, "sarif").stdout)


def test_hint_is_a_warning_and_no_failure(ready, package):
    source = package({"model/Dockerfile": "FROM scratch\n"})
    path = f"{source}/model/Dockerfile"
    [(command, properties, _)] = annotations(check(ready, source, "github", status=0).stdout)
    assert command == "warning" and properties == {"file": path, "title": "PackageNote"}
    [entry] = json.loads(check(ready, source, "gitlab", status=0).stdout)
    assert entry["severity"] == "minor"
    [result] = sarif_results(check(ready, source, "sarif", status=0).stdout)
    assert result["level"] == "warning"
    assert junit_cases(check(ready, source, "junit", status=0).stdout) == [(path, None)]
    assert "Errors: 0. Hints: 1." in check(ready, source, "markdown", status=0).stdout
    imported = ready.run("import", source, "--name", "m", "--format", "github", check=True)
    assert [command for command, _, _ in annotations(imported.stdout)] == ["warning"]


@pytest.mark.parametrize("name", FORMATS)
def test_import_reports_what_check_does(ready, broken, name):
    result = ready.run("import", broken, "--name", "m", "--format", name)
    assert result.returncode == 1, str(result)
    checked = check(ready, broken, name).stdout
    # An import says how to go on with it, too.
    said, retries = re.subn(r"(%0A|\\n|&#10;|<br>)Then \\?`waybill retry m:0\.0\.1\\?`\.", "",
                            result.stdout)
    assert retries == 3
    if name == "github":
        assert annotations(said) == annotations(checked)
        assert "Start model import." in result.stdout
    else:
        assert said == re.sub('("|### )waybill check', r"\1waybill import", checked)
        assert "Start model import." in result.stderr
    again = ready.run("import", broken, "--name", "m", "--format", name)  # attempt 2: its own
    assert len(annotations(again.stdout)) == 3 if name == "github" else again.stdout == result.stdout


def test_sound_import_is_an_empty_report(ready, package):
    done = ready.run("import", package(), "--name", "m", "--format", "gitlab", check=True)
    assert json.loads(done.stdout) == []
    assert "ModelImported" in ready.run("events", "m", "--json").reasons


@pytest.mark.parametrize("command", ["check", "import"])
def test_ci_system_chooses_its_format(ready, broken, command):
    def run(*arguments, **environment):
        return ready.run(command, broken, *arguments, env=environment).stdout
    plain = run()
    assert "::" not in plain
    assert len(annotations(run(GITHUB_ACTIONS="true"))) == 3
    assert len(json.loads(run(GITLAB_CI="true"))) == 3
    assert "::" not in run("--format", "plain", GITHUB_ACTIONS="true")
    assert "::" not in run(GITHUB_ACTIONS="false")
    for line in run("--json", GITHUB_ACTIONS="true").splitlines():
        json.loads(line)


def test_formats_that_do_not_fit_are_refused(ready, broken):
    for arguments, word in [(("check", "--format", "yaml"), "expected github, gitlab"),
                            (("check", "--format", "sarif", "--json"), "--json"),
                            (("import", "--format", "sarif", "--detach"), "--detach")]:
        refused = ready.run(*arguments, broken)
        assert refused.returncode == 2 and refused.stdout == "", str(refused)
        assert word in refused.stderr
    assert ready.run("models").stdout == ""
