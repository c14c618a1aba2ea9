"""docs/ci.md and docs/terraform.md do what they say: every command line in them is run."""
import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from conftest import ROOT
from serving import Server

CI, TERRAFORM = ROOT / "docs/ci.md", ROOT / "docs/terraform.md"
# What the CI systems set.
VARIABLES = {"GITHUB_RUN_NUMBER": "7", "CI_PIPELINE_IID": "8", "BUILD_NUMBER": "9",
             "CI_JOB_ID": "4711"}


def blocks(document, language):
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.M | re.S)


@pytest.fixture
def shell(ready, package, tmp_path):
    """Runs a script where packages/digits is, with `waybill` and `python3` on the PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/waybill").symlink_to(ready.program)
    (tmp_path / "bin/python3").symlink_to(sys.executable)
    (tmp_path / "work").mkdir()
    package(name="work/packages/digits")

    def run(script, program=("sh", "-e", "-c"), **variables):
        environment = ready.environment | VARIABLES | variables | {
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1",
            "GITHUB_STEP_SUMMARY": str(tmp_path / "work/step-summary.md")}
        return subprocess.run([*program, script], cwd=tmp_path / "work", env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120)
    return run


@pytest.fixture
def served(ready, shell, tmp_path):
    """The same, with a server."""
    server = Server(ready, tmp_path)
    variables = {"WAYBILL_SERVER": f"http://{server.netloc}", "PACKAGES": str(tmp_path / "work/packages")}
    yield lambda script, *program: shell(script, *program, **variables)
    assert server.stop() == 0


def sh_blocks(with_server):
    return [script for script in blocks(CI, "sh") if ("$WAYBILL_SERVER" in script) == with_server]


@pytest.mark.parametrize("script", sh_blocks(False))
def test_commands_on_the_build_machine(shell, script):
    done = shell(script)
    assert done.returncode == 0, done


@pytest.mark.parametrize("script", sh_blocks(True))
def test_commands_against_a_server(served, script):
    done = served(script)
    assert done.returncode == 0, done


def test_the_program_in_python(served, tmp_path):
    [script] = blocks(CI, "python")
    fetch = next(line for line in sh_blocks(True)[0].splitlines() if line.startswith("curl"))
    assert served(fetch).returncode == 0
    done = served(script, ("python3", "-c"))
    assert done.returncode == 0 and done.stdout.startswith("from-python 0.0.1 sha256:"), done
    (tmp_path / "work/packages/digits/model/config.json").write_text('{"model_type": "Nonsense"}')
    failed = served(script, ("python3", "-c"))
    assert failed.returncode == 1 and "Nonsense" in failed.stderr, failed


def commands_of_pipelines():
    """The command lines of the CI systems' own files."""
    yaml = "\n".join(blocks(CI, "yaml"))
    found = re.findall(r"^\s*(?:- |- run: |run: )(waybill .*)$", yaml, re.M)
    found += re.findall(r"sh '(waybill .*)'", "\n".join(blocks(CI, "groovy")))
    every = sum(text.count("waybill check") + text.count("waybill import")
                for language in ("yaml", "groovy") for text in blocks(CI, language))
    assert len(found) == every, "every one is understood"
    return found


@pytest.mark.parametrize("command", commands_of_pipelines())
def test_commands_of_the_pipelines(shell, command):
    done = shell(command)
    assert done.returncode == 0, done


def test_a_broken_package_fails_every_pipeline(shell, tmp_path):
    (tmp_path / "work/packages/digits/model/config.json").write_text('{"model_type": "Nonsense"}')
    for command in commands_of_pipelines():
        assert shell(command).returncode == 1, command


# -- docs/terraform.md --

PROVIDER = {"User-Agent": "terraform-provider-iac"}


def test_the_example_of_terraform_can_be_made(ready, package, tmp_path):
    source = package(name="srv/models/digits")
    [command] = [line for line in blocks(TERRAFORM, "")[0].splitlines() if line]
    program, verb, *options = shlex.split(command)
    assert (program, verb) == ("waybill", "serve")
    [hcl] = blocks(TERRAFORM, "hcl")
    resource = hcl[hcl.index('resource "huaweicloud_modelarts_model"'):hcl.index("data ")]
    outer, inner = resource.split("jsonencode({")
    fields = dict(re.findall(r'^\s+(\w+)\s+=\s+"(.*)"$', outer, re.M))
    config = dict(re.findall(r'^\s+(\w+)\s+=\s+"(.*)"$', inner, re.M))
    assert config and fields["source_location"] == "file:///srv/models/digits"
    body = {"model_name": fields.pop("name"), "model_version": fields.pop("version"),
            "initial_config": json.dumps(config), "template": {}, "dependencies": None, **fields,
            "source_location": f"file://{source}"}
    options = [option.replace("/srv/models", str(tmp_path)) for option in options]
    server = Server(ready, tmp_path, *options)
    try:
        created = server.ask("POST", "/v1/default/models", body, PROVIDER)
        assert created.status == 200, created
        details = server.settled(created.json["model_id"])
        assert details["model_status"] == "published"
        assert json.loads(details["config"]) == config
        assert details["source_location"] == body["source_location"]
        failing = server.ask("POST", "/v1/default/models", body | {
            "model_version": "0.0.2", "dependencies": [{"installer": "pip", "packages": [
                {"package_name": "numpy", "package_version": "1.26.4", "restraint": "EXACT"}]}]},
            PROVIDER)
        server.settled(failing.json["model_id"])
        told = server.ask("GET", f"/v1/default/models/{failing.json['model_id']}",
                          headers=PROVIDER).json["model_status"]
        assert told.startswith("failed: BuildStartFailed "), "the options of the example set it"
    finally:
        assert server.stop() == 0
