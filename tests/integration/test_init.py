"""waybill init: folders as tools leave them behind are recognised, and the config that it writes is
one with which `waybill check` is clean or says truly what is missing."""
import json
import pickle
import shlex
import zipfile

import pytest

from conftest import write_package

HF_CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama",
             "transformers_version": "4.40.0"}
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1234567\n"
XGBOOST = {"learner": {"attributes": {}, "gradient_booster": {"name": "gbtree"}},
           "version": [2, 0, 3]}


REQUIREMENTS = """# of the training
mlflow==2.9.2
cloudpickle>=2.2.1  # as the flavour wants it
scikit-learn[tests] <= 1.3.2
psutil
numpy>=1.24,<2
pandas==2.*
torch==2.1.0+cpu
--extra-index-url https://example.org/simple
wheel ; python_version < "3.12"
"""
DEPENDENCIES = [
    {"package_name": "mlflow", "package_version": "2.9.2", "restraint": "EXACT"},
    {"package_name": "cloudpickle", "package_version": "2.2.1", "restraint": "ATLEAST"},
    {"package_name": "scikit-learn[tests]", "package_version": "1.3.2", "restraint": "ATMOST"},
    {"package_name": "psutil"},
    {"package_name": "torch", "package_version": "2.1.0+cpu", "restraint": "EXACT"}]
UNSAID = ["numpy>=1.24,<2", "pandas==2.*", "--extra-index-url https://example.org/simple",
          'wheel ; python_version < "3.12"']


def mlmodel(flavour, **members):
    lines = ["artifact_path: model", "flavors:", "  python_function:", "    env: python_env.yaml",
             f"    loader_module: mlflow.{flavour}"]
    return "\n".join(lines + [f"    {key}: {value}" for key, value in members.items()]) + "\n"


def saved_model(where):
    """As tf.saved_model.save writes it."""
    return {f"{where}saved_model.pb": b"\x08\x01\x12\x00", f"{where}fingerprint.pb": b"\x08\x02",
            f"{where}keras_metadata.pb": b"\x0a\x00", f"{where}assets/": None,
            f"{where}variables/variables.index": b"\0" * 8,
            f"{where}variables/variables.data-00000-of-00001": b"\0" * 64}


def torch_file(path):
    """As torch.save writes it: a zip with a pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"weight": [1.0]}))
        archive.writestr("archive/version", "3\n")


# name: files, links, model_type, where the config is written, what the import is given beside it
LAYOUTS = {
    "saved-model": (saved_model("model/"), {}, "TensorFlow", "model/config.json", []),
    "saved-model-itself": (saved_model(""), {}, "TensorFlow", "config.json", ["--child", "."]),
    "saved-model-too-deep": (saved_model("model/1/"), {}, "TensorFlow", "model/1/config.json",
                             ["--child", "model/1"]),
    "saved-model-elsewhere": (saved_model("export/"), {}, "TensorFlow", "export/config.json",
                              ["--child", "export"]),
    "keras": ({"model/digits.keras": b"PK\5\6" + bytes(18)}, {}, "TensorFlow", "model/config.json", []),
    "torch": ({"model/resnet.pt": torch_file, "model/customize_service.py": "# code\n"}, {},
              "PyTorch", "model/config.json", []),
    "joblib": ({"model/model.joblib": b"\x80\x04\x8c\x14sklearn.svm._classes."}, {}, "Scikit_Learn",
               "model/config.json", []),
    "pickle": ({"model/model.pkl": pickle.dumps([1, 2])}, {}, "Scikit_Learn", "model/config.json",
               []),
    "xgboost-json": ({"model/model.json": XGBOOST, "model/labels.json": ["a", "b"]}, {}, "XGBoost",
                     "model/config.json", None),
    "xgboost-ubj": ({"model/model.ubj": b"{L\0\0\0\0\0\0\0\x07learner"}, {}, "XGBoost",
                    "model/config.json", []),
    "onnx": ({"model/model.onnx": b"\x08\x08\x12\x07pytorch"}, {}, "ONNX", "model/config.json", []),
    "gguf": ({"model/llama.Q4_K_M.gguf": b"GGUF\x03\0\0\0" + bytes(16)}, {}, "LLM", "model/config.json", []),
    "huggingface": ({"model/config.json": HF_CONFIG, "model/model.safetensors": b"\x02" + bytes(7) + b"{}",
                     "model/tokenizer.json": {"version": "1.0"}}, {}, "LLM", "waybill.json", []),
    "huggingface-snapshot": ({"blobs/0": HF_CONFIG, "blobs/1": b"\x02" + bytes(7) + b"{}",
                              "refs/main": "0123abc", "snapshots/0123abc/": None},
                             {"snapshots/0123abc/config.json": "../../blobs/0",
                              "snapshots/0123abc/model.safetensors": "../../blobs/1"},
                             "LLM", "waybill.json", ["--child", ".", "--dereference"]),
    "huggingface-bin": ({"model/config.json": HF_CONFIG, "model/pytorch_model.bin": b"PK"}, {},
                        "Custom", "waybill.json", []),
    "lfs-clone": ({"model/model.onnx": LFS, ".git/HEAD": "ref: refs/heads/main\n",
                   ".gitattributes": "*.onnx filter=lfs diff=lfs merge=lfs -text\n"}, {}, "ONNX",
                  "model/config.json", None),
    "left-out": ({"model/net.pt": torch_file, "model/a.onnx": b"\x08\x08", "model/b.onnx": b"\x08",
                  "model/.waybillignore": "*.onnx\n"}, {}, "PyTorch", "model/config.json", []),
    "from-a-mac": ({"model/net.onnx": b"\x08\x08", "model/._net.onnx": b"\0\5\x16\7", "__MACOSX/._model":
                    b"\0\5\x16\7"}, {}, "ONNX", "model/config.json", None),
    "mlflow-sklearn": ({"MLmodel": mlmodel("sklearn"), "model.pkl": pickle.dumps([1]),
                        "conda.yaml": "channels:\n- conda-forge\n",
                        "python_env.yaml": "python: 3.11.2\ndependencies:\n- -r requirements.txt\n",
                        "requirements.txt": REQUIREMENTS}, {}, "Scikit_Learn", "config.json",
                       ["--child", "."]),
    "mlflow-pytorch": ({"MLmodel": mlmodel("pytorch", data="data"), "data/model.pth": torch_file,
                        "data/pickle_module_info.txt": "mlflow.pytorch.pickle_module\n"}, {},
                       "PyTorch", "data/config.json", ["--child", "data"]),
    "mlflow-onnx": ({"MLmodel": mlmodel("onnx", data="model.onnx"), "model.onnx": b"\x08\x08"}, {},
                    "ONNX", "config.json", ["--child", "."]),
    "mindspore": ({"model/net.mindir": b"\x0a"}, {}, "MindSpore", "model/config.json", []),
}


def make_layout(where, name):
    files, links = LAYOUTS[name][:2]
    plain = {path: b"" if content is None else content for path, content in files.items()
             if not callable(content)}
    write_package(where, plain, links)
    for path, content in files.items():
        if callable(content):
            (where / path).parent.mkdir(parents=True, exist_ok=True)
            content(where / path)
    return where / "snapshots/0123abc" if "snapshot" in name else where


def check(waybill, told):
    """What `waybill check` finds, called as init says."""
    words = shlex.split(told["next"])
    assert words[:2] == ["waybill", "check"]
    result = waybill.run(*words[1:], "--json")
    return result, json.loads(result.stdout)["findings"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_are_recognised(name, ready, tmp_path):
    model_type, written, arguments = LAYOUTS[name][2:]
    source = make_layout(tmp_path / "digits", name)
    told = json.loads(ready.run("init", source, "--json", check=True).stdout)
    assert told["model_type"] == model_type
    assert told["config"] == str(source / written)
    config = json.loads((source / written).read_text())
    assert config["model_type"] == model_type
    assert config["model_algorithm"] == told["model_algorithm"]
    assert told["recognised_by"] and told["why"]
    result, findings = check(ready, told)
    # The layouts' model files are only names: what is in them is told in test_scan.py.
    findings = [event for event in findings if event["reason"] != "ModelFormatBroken"]
    if arguments is None:  # init says beforehand what check says
        reasons = {event["reason"] for event in findings}
        assert reasons and reasons == {event["reason"] for event in told["findings"]}
    else:
        # Where its dependencies are to be had from is said in test_environments.py.
        said = [event for event in findings if event.get("kind") != "no_network"]
        assert said == [] and result.returncode == (1 if findings else 0)
        imported = ready.run("import", source, *arguments, "--name", "m", "--json")
        # No sandbox is there for it, and that is what it says.
        said = "BuildStartFailed" if "dependencies" in config else "ModelImported"
        assert said in imported.reasons[-3:], imported.reasons


def test_what_mlflow_wrote_down_becomes_dependencies(ready, tmp_path):
    source = make_layout(tmp_path / "digits", "mlflow-sklearn")
    told = json.loads(ready.run("init", source, "--json", check=True).stdout)
    assert told["dependencies"] == [{"installer": "pip", "packages": DEPENDENCIES}]
    assert json.loads((source / "config.json").read_text())["dependencies"] == told["dependencies"]
    assert (told["requirements"], told["unsaid"]) == ("requirements.txt", UNSAID)
    shown = ready.run("init", source, "--force", check=True).stdout
    assert "note: requirements.txt: 5 of its packages are written as dependencies\n" in shown
    for line in UNSAID:
        assert f"note: config.json has no words for this line of requirements.txt: {line}\n" in shown
    shown = ready.run("init", source, "--force", "--lang", "zh", check=True).stdout
    assert "requirements.txt 中的 5 个软件包已写入 dependencies" in shown


@pytest.mark.parametrize("name, files", [
    ("none", {}), ("empty", {"requirements.txt": "\n# nothing\n"}),
    ("not text", {"requirements.txt": b"\xff\xfe"}), ("large", {"requirements.txt": 2 << 20}),
    ("not MLflow's", {"MLmodel": None, "requirements.txt": "numpy==1\n"})])
def test_no_dependencies_are_made_up(name, files, ready, tmp_path):
    files = {"MLmodel": mlmodel("sklearn"), "model.pkl": pickle.dumps([1])} | files
    source = write_package(tmp_path / "m", {path: content for path, content in files.items()
                                            if content is not None})
    told = json.loads(ready.run("init", source, "--json", check=True).stdout)
    assert told["dependencies"] == [] and told["unsaid"] == []
    assert "dependencies" not in json.loads((source / "config.json").read_text())


def test_a_folder_given_too_high_is_said(ready, tmp_path):
    write_package(tmp_path / "top", saved_model("digits/model/"))
    told = json.loads(ready.run("init", tmp_path / "top", "--json", check=True).stdout)
    assert (told["lies"], told["source"]) == ("too_high", str(tmp_path / "top/digits"))
    assert (tmp_path / "top/digits/model/config.json").exists()
    assert check(ready, told)[0].returncode == 0


def test_several_models_are_not_chosen_from(ready, tmp_path):
    where = write_package(tmp_path / "top", {"a/a.onnx": "a", "b/b.onnx": "b"})
    result = ready.run("init", where)
    assert result.returncode == 1 and "a, b" in result.stderr
    assert not list(where.rglob("*.json"))


def test_types_in_one_folder_are_said_and_chosen(ready, tmp_path):
    where = write_package(tmp_path / "two", {"model/a.onnx": "a", "model/a.pt": "b"})
    told = json.loads(ready.run("init", where, "--json", check=True).stdout)
    assert (told["model_type"], told["also"]) == ("ONNX", ["model/a.pt"])
    told = json.loads(ready.run("init", where, "--json", "--force", "--type", "PyTorch",
                                check=True).stdout)
    assert (told["model_type"], told["recognised_by"]) == ("PyTorch", "model/a.pt")


def test_nothing_known_needs_a_type(ready, tmp_path):
    where = write_package(tmp_path / "odd", {"model/weights.xyz": "w"})
    result = ready.run("init", where)
    assert result.returncode == 1 and "--type" in result.stderr
    told = json.loads(ready.run("init", where, "--type", "Custom", "--json", check=True).stdout)
    assert told["recognised_by"] is None
    assert check(ready, told)[0].returncode == 0


@pytest.mark.parametrize("name", ["onnx", "huggingface"])
def test_a_config_is_replaced_with_force_only(name, ready, tmp_path):
    source = make_layout(tmp_path / "digits", name)
    written = source / LAYOUTS[name][3]
    written.write_text("{}")
    result = ready.run("init", source)
    assert result.returncode == 1 and "--force" in result.stderr
    assert written.read_text() == "{}"
    ready.run("init", source, "--force", check=True)
    assert json.loads(written.read_text())["model_type"] == LAYOUTS[name][2]


def test_a_link_in_the_configs_place_is_not_written_through(ready, package, tmp_path):
    (tmp_path / "precious").write_text("keep")
    where = package(files={"model/config.json": None, "model/a.onnx": "a"},
                    links={"model/config.json": "../../precious"})
    assert ready.run("init", where).returncode == 1
    ready.run("init", where, "--force", check=True)
    assert (tmp_path / "precious").read_text() == "keep"
    assert not (where / "model/config.json").is_symlink()


def test_the_guess_is_told_in_both_languages(ready, tmp_path):
    source = make_layout(tmp_path / "digits", "huggingface")
    english = ready.run("init", source, check=True).stdout.splitlines()
    assert english == [
        "LLM: model/model.safetensors is weights as safetensors",
        "note: the config.json there is Hugging Face's and is packed unchanged",
        f"wrote {source}/waybill.json: model_type LLM, model_algorithm LlamaForCausalLM "
        "(from Hugging Face's config.json)",
        f"next: waybill check {source}"]
    chinese = ready.run("init", source, "--force", "--lang", "zh", check=True).stdout
    assert "下一步:waybill check" in chinese and "safetensors 权重" in chinese
    assert ready.run("init", source, "--force", "--quiet", check=True).stdout == ""


@pytest.mark.parametrize("arguments", [["nowhere"], [".", "--type", "Image"],
                                       [".", "--type", "Torch"], []])
def test_wrong_usage(arguments, ready):
    assert ready.run("init", *arguments).returncode == 2


def test_the_config_beside_model_counts(ready, package):
    """Before one in model/, and its faults are named there."""
    where = package(files={"waybill.json": {"model_algorithm": "x", "model_type": "Wrong"}})
    result = ready.run("check", where, "--json")
    [found] = json.loads(result.stdout)["findings"]
    assert (found["reason"], found["evidence"]["file"]) == ("ConfigValueInvalid", "waybill.json")
    (where / "waybill.json").write_text(" " * (1024 * 1024 + 1))
    [found] = json.loads(ready.run("check", where, "--json").stdout)["findings"]
    assert found["kind"] == "syntax" and found["evidence"]["file"] == "waybill.json"
    given = where / "model/config.json"
    assert ready.run("check", where, "--config", given).returncode == 0


def test_a_config_beside_model_that_leaves_the_package_is_refused(ready, package, tmp_path):
    (tmp_path / "other.json").write_text("{}")
    where = package(links={"waybill.json": "../other.json"})
    [found] = json.loads(ready.run("check", where, "--json").stdout)["findings"]
    assert (found["reason"], found["evidence"]["path"]) == ("ModelFilesCopyFailed", "waybill.json")
