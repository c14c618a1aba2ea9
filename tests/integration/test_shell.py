"""Completions and the man page say what the program says of itself."""
import re
import shutil
import subprocess

import pytest

from conftest import ROOT

BASH = ROOT / "completions/waybill.bash"
ZSH = ROOT / "completions/_waybill"
MANUAL = ROOT / "docs/waybill.1"


def commands(waybill):
    return re.findall(r"^  ([a-z-]+) ", waybill.run("help", check=True).stdout, re.M)


def options(waybill, command):
    return set(re.findall(r" (--[a-z-]+)", waybill.run(command, "--help", check=True).stdout))


def complete(waybill, *words):
    """What bash offers for the last word; words as bash takes a command line apart."""
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _waybill; ' \
             'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script, "-", BASH, waybill.program, *words],
                          env=waybill.environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_and_their_options(waybill):
    names = commands(waybill)
    assert len(names) > 10
    assert complete(waybill, "") == set(names)
    assert complete(waybill, "--lang", "zh", "ev") == {"events"}
    for name in names:
        assert complete(waybill, name, "--") == options(waybill, name), name
    assert complete(waybill, "runtime", "") == {"add", "bootstrap", "list", "remove"}
    assert complete(waybill, "access-key", "") == {"create", "list", "revoke"}
    assert complete(waybill, "credential", "") == {"add", "list", "remove"}
    assert complete(waybill, "token", "") == {"create", "list", "revoke", "link"}
    assert complete(waybill, "token", "create", "--role", "") == {"reader", "writer", "admin"}
    assert complete(waybill, "events", "m", "--type", "") == {"normal", "abnormal", "hint",
                                                              "problems"}
    assert complete(waybill, "retry", "m", "--from", "c") == {"check", "copy"}
    assert complete(waybill, "import", "m", "--if-exists", "") == {"same", "fail", "retry"}
    assert complete(waybill, "check", "p", "--format", "g") == {"github", "gitlab"}
    assert "ImageBuilt" in complete(waybill, "explain", "Image")


def test_bash_completes_models_and_runtimes_of_the_data_directory(ready, package, tmp_path):
    ready.run("import", package(), "--name", "digits", check=True)
    assert complete(ready, "events", "di") == {"digits", "digits:0.0.1"}
    assert complete(ready, "events", "digits", ":") == {"0.0.1"}
    assert complete(ready, "events", "digits", ":", "0") == {"0.0.1"}
    assert complete(ready, "events", "digits", "") == set()
    assert complete(ready, "import", "x", "--runtime", "") == {"base"}
    assert complete(ready, "runtime", "remove", "") == {"base"}
    nowhere = str(tmp_path / "nowhere")
    assert complete(ready, "--data", nowhere, "show", "") == set()


def test_zsh_knows_every_command_and_option(waybill):
    text = ZSH.read_text()
    described = set(re.findall(r"^        '([a-z-]+):", text, re.M))
    names = commands(waybill)
    assert described == set(names)
    wanted = set().union(*(options(waybill, name) for name in names))
    assert wanted <= set(re.findall(r"--[a-z]+(?:-[a-z]+)*", text))


def test_manual_names_every_command_and_option(waybill):
    text = MANUAL.read_text()
    names = commands(waybill)
    assert set(names) == set(re.findall(r"^\.It Cm ([a-z-]+)", text, re.M))
    wanted = set().union(*(options(waybill, name) for name in names))
    given = {"-" + option for option in re.findall(r"(-[a-z]+(?:-[a-z]+)*)", text)}
    assert wanted <= given


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_manual_has_no_warning():
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", MANUAL],
                          capture_output=True, text=True, check=True)
    assert done.stderr == ""
