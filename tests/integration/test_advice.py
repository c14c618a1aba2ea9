"""Who does what an advice says sees the next attempt succeed: each step is taken from the event of
the failed import, and a command in it is run as it stands, by a shell, as its reader would."""
import os
import re
import subprocess

import pytest

from faulty_registry import FaultyRegistry, refusal
from registries import SECRET, USER, registry_at  # noqa: F401 (a fixture)

TORCH = {"model_type": "PyTorch"}


def commands(steps):
    return [command for step in steps for command in re.findall("`([^`]*)`", step)]


class Reader:
    """Reads one event's advice where the package's folder was given from, and follows it."""

    def __init__(self, waybill, source, event):
        self.waybill, self.source, self.event = waybill, source, event
        self.where = source.parent

    def line(self, number):
        return self.config().read_text().splitlines()[number - 1]

    def config(self):
        return self.source / self.event["evidence"]["file"]

    def step(self, *words):
        """The first step that has these words."""
        return next(step for step in self.event["advice"] if all(word in step for word in words))

    def run(self, command):
        """As a shell runs it, `waybill` being the program that is tested."""
        path = self.where / "bin"
        path.mkdir(exist_ok=True)
        if not (path / "waybill").exists():
            os.symlink(self.waybill.program, path / "waybill")
        done = subprocess.run(command, shell=True, cwd=self.where, text=True, capture_output=True,
                              env=self.waybill.environment | {"PATH": f"{path}:{os.environ['PATH']}"})
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    def run_step(self, *words):
        self.run(commands([self.step(*words)])[0])

    def rewrite_line(self, old, new):
        """Changes the line of config.json that the event names."""
        lines = self.config().read_text().splitlines()
        at = self.event["evidence"]["line"] - 1
        assert old in lines[at], lines[at]
        lines[at] = lines[at].replace(old, new)
        self.config().write_text("\n".join(lines))


# What a reader does, by what the steps say. None but the commands is theirs to think out.

def run_cd(reader):
    reader.run_step("`cd ")


def correct_the_line(reader):
    reader.step("Correct line 2; often a comma is missing or surplus on the line before")
    reader.config().write_text('{"model_algorithm": "a",\n "model_type": "Custom"}')


def add_the_example(reader):
    [example] = commands([reader.step("Add it, ")])
    text = reader.config().read_text()
    reader.config().write_text(text.replace("{", "{" + example + ",", 1))


def rename_nearest(reader):
    wrong = re.search("Rename (\\S+) to what is missing", reader.step("Rename"))[1]
    text = reader.config().read_text()
    reader.config().write_text(text.replace(f'"{wrong}"', '"model_type"'))


def write_nearest(reader):
    line, file, nearest = re.search(r"In line (\d+) of (\S+), write (\S+) for",
                                    reader.step(", write ")).groups()
    assert (int(line), file) == (reader.event["evidence"]["line"], reader.event["evidence"]["file"])
    reader.rewrite_line(reader.event["evidence"]["found"], f'"{nearest}"')


def change_the_file(reader):
    reader.step("Change one of them", "line 3 of model/config.json")
    reader.rewrite_line('"PyTorch"', '"Custom"')


def init(reader):
    reader.run_step("`waybill init")


def delete_the_line(reader):
    line = int(re.search(r"Delete swr_location in line (\d+)", reader.step("Delete"))[1])
    lines = reader.config().read_text().splitlines()
    assert "swr_location" in lines.pop(line - 1)
    reader.config().write_text("\n".join(lines).replace('"Custom",', '"Custom"'))


def add_a_runtime(reader, base):
    [*_, command] = commands([reader.step("have one registered")])
    assert "NAME" in command and "oci:DIR:TAG" in command
    reader.run(command.replace("NAME", "base").replace("DIR:TAG", f"{base}:latest"))


def list_the_others(reader):
    """By the names of the summary, in the folder that the step names."""
    folder = re.search(r"`\.waybillignore` in (\S+), as named here", reader.step("list them"))[1]
    [*others, kept] = re.findall(r"(model/\S+\.pt) \(", reader.event["summary"])
    assert others and kept == "model/last.pt"
    with open(os.path.join(folder, ".waybillignore"), "w") as file:
        file.writelines(name + "\n" for name in others)


def list_the_waste(reader):
    found = re.search(r"\(found: (.*)\)\.$", reader.step("found:"))[1]
    lines = re.findall(r"(\S+) \([^)]*\)", found)
    assert lines == ["optimizer.pt"]
    (reader.source / ".waybillignore").write_text("\n".join(lines))


def leave_it_out(reader):
    reader.run_step("Inference does not need it")


def move_it_up(reader):
    reader.run_step("lies in a folder")


def set_the_type(reader):
    guess = re.search("This looks like (\\w+):", reader.step("This looks like"))[1]
    path = reader.source / "model/config.json"
    path.write_text(path.read_text().replace("PyTorch", guess))


def put_the_content(reader):
    """What `git lfs pull` does in a clone; git-lfs itself is not at hand."""
    assert commands([reader.step("git lfs pull")]) == ["git lfs pull"]
    (reader.source / reader.event["evidence"]["file"]).write_bytes(b"the model")


def rename(reader):
    reader.step("Rename it", "without control characters")
    (reader.source / "model/bad\nname").rename(reader.source / "model/good-name")


def correct_the_ignore_file(reader):
    reader.step("Correct .waybillignore")
    (reader.source / ".waybillignore").write_text("*.log\n")


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
SWR = '{\n"model_algorithm": "a",\n"model_type": "Custom",\n"swr_location": "oci:x:y"\n}'
HUGGING = {"architectures": ["BertModel"], "transformers_version": "4.40.0"}
MIB = 1024 * 1024

# name: (reason, kind), what package() takes, options of both import and retry, what a reader does
CASES = {
    "link outside": (("ModelFilesCopyFailed", "link_outside"),
                     {"links": {"model/other files": "../../outside"}}, [], run_cd),
    "link that dangles": (("ModelFilesCopyFailed", "link_dangling"),
                          {"links": {"model/a b": "nowhere"}}, [], run_cd),
    "link to itself": (("ModelFilesCopyFailed", "link_loop"), {"links": {"model/$x": "$x"}}, [],
                       run_cd),
    "named pipe": (("ModelFilesCopyFailed", "special_file"), {"fifos": ["model/-pipe"]}, [], run_cd),
    "name": (("ModelFilesCopyFailed", "unsafe_name"), {"files": {"model/bad\nname": "x"}}, [],
             rename),
    "ignore file": (("ModelFilesCopyFailed", "ignore_file"), {"files": {".waybillignore": "[a\n"}},
                    [], correct_the_ignore_file),
    "syntax": (("ConfigValueInvalid", "syntax"),
               {"files": {"model/config.json": '{"model_algorithm": "a"\n "model_type": "Custom"}'}},
               [], correct_the_line),
    "missing": (("ConfigValueInvalid", "missing"),
                {"files": {"model/config.json": {"model_algorithm": "a"}, "model/net.pt": "net",
                           "model/weights.bin": None}}, [], add_the_example),
    "missing, misspelt": (("ConfigValueInvalid", "missing"),
                          {"files": {"model/config.json": {"model_algorithm": "a",
                                                           "model_typ": "Custom"}}},
                          [], rename_nearest),
    "value": (("ConfigValueInvalid", "value"), {"config": {"model_type": "Custm"}}, [],
              write_nearest),
    "request disagrees": (("ConfigValueInvalid", "disagrees"),
                          {"config": TORCH, "files": {"model/net.pt": "net"}}, ["--type", "Custom"],
                          change_the_file),
    "no config": (("ConfigValueInvalid", "no_config"),
                  {"files": {"model/config.json": None, "model/a.onnx": "a"}}, [], init),
    "Hugging Face": (("ConfigValueInvalid", "huggingface_config"),
                     {"files": {"model/config.json": HUGGING, "model/a.safetensors": "a"}}, [],
                     init),
    "swr_location": (("SwrLocationNotAllowed", ""), {"files": {"model/config.json": SWR}}, [],
                     delete_the_line),
    "two model files": (("ModelFileAmbiguous", ""),
                        {"config": TORCH, "files": {"model/best.pt": "a", "model/last.pt": "b"}},
                        [], list_the_others),
    "too deep": (("ModelFileMissing", ""), {"config": TORCH, "files": {"model/out/a b.pt": "a"}}, [],
                 move_it_up),
    "another engine's": (("ModelFileMissing", ""), {"config": TORCH, "files": {"model/a.onnx": "a"}},
                         [], set_the_type),
    "LFS pointer": (("LfsPointerFound", ""), {"config": TORCH, "files": {"model/a.pt": LFS}}, [],
                    put_the_content),
    "large file": (("ModelFileTooLarge", ""),
                   {"files": {"model/checkpoint-5/rng_state.pth": 2 * MIB}},
                   ["--set", "limits.model_file_gib=0.001"], leave_it_out),
    "large package": (("SizeLimitExceeded", ""), {"files": {"model/optimizer.pt": 2 * MIB}},
                      ["--set", "limits.model_gib=0.001"], list_the_waste),
}


def fail(waybill, source, reason, kind, options):
    settings = options if "--set" in options else []
    result = waybill.run("import", source, "--json", *options)
    assert result.returncode == 1, str(result)
    last = result.events[-1]
    [event] = [event for event in result.events if event["seq"] == last["cause"]]
    assert (event["reason"], event.get("kind") or "") == (reason, kind), event
    return Reader(waybill, source, event), settings


def assert_attempt_2_imports(reader, settings):
    """The retry is the advice's own last command; a setting of the service stays what it was."""
    [retry] = [command for command in commands(reader.event["advice"])
               if command.startswith("waybill retry") and "--dynamic" not in command]
    reader.run(" ".join([retry, *settings]))
    assert_imported_in_attempt_2(reader.waybill, retry.split()[-1])


def assert_imported_in_attempt_2(waybill, model):
    last = waybill.run("events", model, "--json", check=True).events[-1]
    assert (last["reason"], last["attempt"]) == ("ModelImported", 2)
    assert len(waybill.run("models", "--json").stdout.splitlines()) == 1


@pytest.mark.parametrize("name", CASES)
def test_the_advice_mends_it(name, ready, package, tmp_path):
    (reason, kind), content, options, follow = CASES[name]
    (tmp_path / "outside").write_text("not a folder's own")
    reader, settings = fail(ready, package(**content), reason, kind, options)
    follow(reader)
    assert_attempt_2_imports(reader, settings)


def test_the_advice_of_a_missing_runtime_mends_it(waybill, base_layout, package):
    reader, _ = fail(waybill, package(), "ConfigValueInvalid", "no_runtime", [])
    add_a_runtime(reader, base_layout)
    assert_attempt_2_imports(reader, [])


@pytest.mark.parametrize("folder, words", [("models", "Did you mean"), ("", "--child .")])
def test_the_advice_of_a_missing_folder_mends_it(ready, package, folder, words):
    """It is another import of the same version: the folder is a part of the request."""
    source = package()
    if folder:
        (source / "model").rename(source / folder)
    else:
        for path in (source / "model").iterdir():
            path.rename(source / path.name)
        (source / "model").rmdir()
    reader, _ = fail(ready, source, "ModelChildDirectoryMissing", "", [])
    reader.run_step(words)
    assert_imported_in_attempt_2(ready, source.name)


# -- registries --

@pytest.fixture
def lone(ready, tmp_path):
    """Who has no logins yet, and no patience."""
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        ready.environment.pop(name, None)
    ready.environment |= {"HOME": str(tmp_path), "WAYBILL_REGISTRY_RETRIES": "0"}
    return ready


def fail_image(waybill, where, reference, reason, kind):
    result = waybill.run("import", reference, "--type", "Image", "--name", "m", "--json")
    assert result.returncode == 1, str(result)
    event = result.events[-2]
    assert (event["reason"], event.get("kind") or "") == (reason, kind), event
    return Reader(waybill, where / "image", event)


def log_in_as_told(reader):
    [command] = [command for command in commands(reader.event["advice"]) if "credential add" in command]
    assert command.endswith("--user NAME --secret-stdin"), command
    reader.run(f"echo {SECRET} | " + command.replace("NAME", USER))


@pytest.mark.parametrize("mode", ["basic", "token"])
def test_the_advice_of_a_missing_login_mends_it(mode, lone, registry_at, base_layout, tmp_path):
    registry = registry_at(mode)
    registry.push(base_layout)
    reader = fail_image(lone, tmp_path, registry.reference(), "SourceImageTokenExpired", "anonymous")
    log_in_as_told(reader)
    assert_attempt_2_imports(reader, [])


def test_the_advice_of_a_missing_tag_mends_it(lone, registry_at, base_layout, tmp_path):
    registry = registry_at()
    registry.push(base_layout, "team/tags:other")
    reader = fail_image(lone, tmp_path, registry.reference("team/tags:latest"), "ImageTagNotFound", "")
    assert reader.step("Use one of its tags: other.")
    [push] = [command for command in commands(reader.event["advice"]) if "podman push" in command]
    host, place = push.removeprefix("podman push ").split("/", 1)
    assert host == registry.host
    registry.push(base_layout, place)
    assert_attempt_2_imports(reader, [])


def test_the_advice_of_a_registry_that_throttles_mends_it(lone, tmp_path):
    with FaultyRegistry() as registry:
        registry.login = 300
        registry.fault("token", lambda asked: None if "authorization" in asked.headers else refusal(
            429, "TOOMANYREQUESTS", {"Retry-After": "3600"}))
        reader = fail_image(lone, tmp_path, registry.reference, "RegistryThrottled", "")
        log_in_as_told(reader)
        assert_attempt_2_imports(reader, [])
