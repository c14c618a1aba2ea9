"""--format, read by other people's readers: SARIF by its JSON schema, JUnit's XML by a parser, GitHub's
commands and GitLab's entries by their rules; with file names that have all that may hurt them."""
import io
import json
import re
from urllib.parse import unquote

import junitparser
import jsonschema
import pytest

from conftest import ROOT

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
MIB = 1024 * 1024
# Names that are packed, and one that is refused: in a report its line break is text.
NAMES = ["comma, and: colon", "quotes \" ' `", "<b>&amp;</b>", "]]><x/>", "%0A::error::100%",
         "::error file=x::y", "|pipe| \\n $(id)", "模型 – ü", "  ends with a space "]
REFUSED, SHOWN = "line\nbreak::warning::x", "line\\x0abreak::warning::x"
TYPES = {"model_type": "PyTorch", "metrics": {"f1": "]]>\n%0A,:<&\"'"}}


@pytest.fixture(params=["en", "zh"])
def reports(request, ready, package):
    """reports(format): the document about a package with a finding for each of the names."""
    files = {f"model/{name}": 2 * MIB for name in NAMES} | {f"model/{REFUSED}": "x"}
    files |= {"model/pointer, \":<&]]>": LFS}
    where = package(files=files, config=TYPES, name="a,b:c <&\"'> 50%")

    def report(name):
        result = ready.run("check", where, "--format", name, "--quiet", "--lang", request.param,
                           "--set", "limits.model_file_gib=0.001")
        assert result.returncode == 1 and result.stderr == "", str(result)
        return result.stdout, [f"{where}/model/{one}" for one in (
            *NAMES, SHOWN, "pointer, \":<&]]>")]
    return report


@pytest.fixture(scope="session")
def sarif_schema():
    """Of OASIS; see tests/data/README.md."""
    schema = json.loads((ROOT / "tests/data/sarif-2.1.0-rtm.5.json").read_text())
    jsonschema.Draft4Validator.check_schema(schema)
    return jsonschema.Draft4Validator(schema)


def test_sarif_is_valid_by_its_schema(reports, sarif_schema):
    text, paths = reports("sarif")
    log = json.loads(text)
    faults = [f"{list(fault.path)}: {fault.message}" for fault in sarif_schema.iter_errors(log)]
    assert not faults
    places = [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
              for result in log["runs"][0]["results"]]
    assert set(paths) <= {unquote(uri.removeprefix("file://")) for uri in places}


def test_empty_sarif_is_valid_by_its_schema(ready, package, sarif_schema):
    text = ready.run("check", package(), "--format", "sarif", check=True).stdout
    assert not list(sarif_schema.iter_errors(json.loads(text)))
    assert list(sarif_schema.iter_errors({"version": "2.1.0"})), "the schema finds what is wrong"


def test_junit_is_read_by_a_parser(reports):
    text, paths = reports("junit")
    suites = junitparser.JUnitXml.fromstring(text.encode())
    cases = [case for suite in suites for case in suite]
    assert suites.tests == len(cases)
    assert suites.failures == sum(any(isinstance(one, junitparser.Failure) for one in case.result)
                                  for case in cases) > 0
    names = {case.name for case in cases}
    assert set(paths) <= names
    assert all(case.classname.startswith("waybill.") for case in cases)
    suites.write(io.BytesIO())


# As the runner's own reader takes it apart: "::command properties::message", one line each.
COMMAND = re.compile(r"^::(error|warning) ((?:[a-zA-Z]+=[^,:\r\n]*)(?:,[a-zA-Z]+=[^,:\r\n]*)*)::(.*)$")


def unescaped(text, codes):
    assert not re.search("%(?!" + "|".join(codes) + ")", text), text
    return re.sub("%(..)", lambda match: bytes.fromhex(match[1]).decode(), text)


def test_github_commands_keep_to_the_syntax(reports):
    text, paths = reports("github")
    files = set()
    for line in text.splitlines():
        kind, properties, message = COMMAND.match(line).groups()
        values = {}
        for one in properties.split(","):
            key, value = one.split("=", 1)
            assert key in ("file", "line", "col", "title") and key not in values, line
            values[key] = unescaped(value, ("25", "0D", "0A", "3A", "2C"))
        files.add(values["file"])
        assert all(values.get(key, "1").isdigit() for key in ("line", "col"))
        assert unescaped(message, ("25", "0D", "0A"))
    assert set(paths) <= files


def test_gitlab_entries_have_what_is_required(reports):
    text, paths = reports("gitlab")
    entries = json.loads(text)
    prints = set()
    for entry in entries:
        assert {"description", "check_name", "fingerprint", "severity", "location"} <= set(entry)
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert isinstance(entry["location"]["lines"]["begin"], int)
        assert entry["description"] and not re.search("[\0-\x08]", entry["description"])
        prints.add(entry["fingerprint"])
    assert len(prints) == len(entries)
    assert set(paths) <= {entry["location"]["path"] for entry in entries}


def test_markdown_stays_a_table(reports):
    text, paths = reports("markdown")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) >= 2 + len(paths)
    assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows}) == 1
    for row in rows:
        assert not re.search(r"(?<!\\)<(?!br>)", row), row
