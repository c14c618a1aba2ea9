"""Templates: presets of the settings' directory that stand for a config.json."""
import json
import os
import sqlite3
from contextlib import closing
from urllib.parse import quote

import pytest

from attempts import SOUND
from conftest import ROOT, write_package
from serving import Server
from test_openapi import SOURCE, faults, schema_fields, validator_of
from test_shell import complete
from upload_registry import UploadRegistry
from wholeness import assert_store, event_names

APIS = [{"url": "/", "method": "post", "request": {"Content-type": "multipart/form-data",
                                                   "data": {"type": "object"}}}]
TEMPLATE = {
    "name": {"en": "TensorFlow image classification", "zh": "TensorFlow 图像分类模板"},
    "description": {"en": "One image in, labels out", "zh": "输入一张图片,输出标签"},
    "engine": "TensorFlow", "theme": "Classification",
    "config": {"model_algorithm": "image_classification", "labels": ["cat", "dog"]},
    "infer_formats": [{"infer_format": "image-in-json-out", "description": "an image", "apis": APIS},
                      {"infer_format": "undefined"}],
    "inputs": [{"input_id": "model_folder", "description": "the SavedModel", "required": True}],
}


@pytest.fixture
def templates(ready, tmp_path):
    """templates(ID={…} or text): files of templates.dir, which ready has set."""
    where = tmp_path / "templates"
    where.mkdir()
    ready.environment["WAYBILL_TEMPLATES_DIR"] = str(where)

    def write(**files):
        for name, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content, indent=1)
            (where / f"{name.replace('_', '-')}.json").write_text(text)
        return where
    write(tf_image=TEMPLATE)
    return write


@pytest.fixture
def model(tmp_path):
    """model(files={…}): a model directory as TensorFlow saves one, without config.json."""
    def build(files=None, name="flowers"):
        return write_package(tmp_path / name, {"saved_model.pb": "graph",
                                               "variables/variables.index": "x"} | (files or {}))
    return build


def shown(waybill, name):
    return json.loads(waybill.run("show", name, "--json", check=True).stdout)


# -- the command line --

def test_the_source_is_the_model_directory_itself(ready, templates, model):
    done = ready.run("import", model(), "--template", "tf-image", "--json", check=True)
    assert event_names(done.events) == SOUND
    started = done.events[0]["evidence"]
    assert (started["template_id"], started["infer_format"]) == ("tf-image", "image-in-json-out")
    assert started["model_type"] == "TensorFlow"
    assert_store(ready)
    details = shown(ready, "flowers")
    assert (details["model_type"], details["engine"]) == ("Template", "TensorFlow")
    assert json.loads(details["config"]) == TEMPLATE["config"] | {"model_type": "TensorFlow", "apis": APIS}
    assert json.loads(details["apis"]) == APIS
    assert details["template"] == {"template_id": "tf-image", "infer_format": "image-in-json-out",
                                   "template_inputs": [{"input_id": "model_folder",
                                                        "input": f"file://{model()}"}]}
    rows = [line.split(None, 1) for line in ready.run("show", "flowers", check=True).stdout.splitlines()]
    assert ["template", "tf-image, image-in-json-out"] in rows and ["type", "TensorFlow"] in rows


def test_the_undefined_mode_has_no_apis(ready, templates, model):
    ready.run("import", model(), "--template", "tf-image", "--infer-format", "undefined", check=True)
    assert "apis" not in json.loads(shown(ready, "flowers")["config"])


def test_a_config_in_the_directory_is_an_ordinary_file(ready, templates, model):
    folder = model({"config.json": "{\"architectures\": []}", "waybill.json": "not JSON"})
    ready.run("import", folder, "--template", "tf-image", check=True)


def test_the_engine_s_rules_hold_in_the_directory(ready, templates, model, tmp_path):
    def cause(folder):
        done = ready.run("import", folder, "--template", "tf-image", "--name", folder.name, "--json")
        assert done.returncode == 1, str(done)
        [event] = [event for event in done.events if event["seq"] == done.events[-1]["cause"]]
        return event["reason"]
    assert cause(write_package(tmp_path / "none", {"readme": "x"})) == "ModelFileMissing"
    assert cause(write_package(tmp_path / "two", {"a.pb": "x", "b.pb": "x"})) == "ModelFileAmbiguous"


def test_equal_content_is_the_same_version_and_another_template_is_not(ready, templates, model):
    ready.run("import", model(), "--template", "tf-image", check=True)
    again = ["import", model(), "--template", "tf-image", "--version", "0.0.1"]
    assert "unchanged" in ready.run(*again, check=True).stdout
    templates(tf_image=TEMPLATE | {"config": {"model_algorithm": "another"}})
    refused = ready.run(*again)
    assert refused.returncode == 2 and "taken by other content" in refused.stderr


def test_a_retry_imports_by_what_was_asked_for(ready, templates, model):
    folder = model()
    os.rename(folder / "saved_model.pb", folder / "elsewhere")
    assert ready.run("import", folder, "--template", "tf-image").returncode == 1
    os.rename(folder / "elsewhere", folder / "saved_model.pb")
    for path in templates().iterdir():
        path.unlink()
    ready.run("retry", "flowers", check=True)
    assert json.loads(shown(ready, "flowers")["config"])["model_algorithm"] == "image_classification"


def test_the_input_is_the_source_also_after_a_retry_with_another(ready, templates, model, tmp_path):
    former = write_package(tmp_path / "former", {"readme": "x"})
    assert ready.run("import", former, "--name", "m", "--template", "tf-image").returncode == 1
    ready.run("retry", "m", model(), check=True)
    details = shown(ready, "m")
    assert details["source_location"] == f"file://{model()}"
    assert details["template"]["template_inputs"] == [{"input_id": "model_folder", "input": f"file://{model()}"}]
    with UploadRegistry() as registry:
        place = f"{registry.reference}/m:1"
        ready.run("copy", "m", place, env={"WAYBILL_REGISTRY_RETRIES": "1"}, check=True)
        statement = json.loads(ready.run("show", place, "--json", check=True).stdout)["statement"]
    asked = statement["predicate"]["buildDefinition"]["externalParameters"]
    assert asked["source"] == str(model())
    assert json.loads(asked["template"]) == {"template_id": "tf-image", "infer_format": "image-in-json-out",
                                             "input_id": "model_folder"}


def test_a_request_that_was_kept_with_its_input_shows_the_source(ready, templates, model):
    """As they were kept before input_id was."""
    ready.run("import", model(), "--template", "tf-image", check=True)
    said = shown(ready, "flowers")["template"]
    with closing(sqlite3.connect(ready.data / "waybill.db")) as db:
        [[text]] = db.execute("SELECT request FROM attempts").fetchall()
        former = {"template_id": "tf-image", "infer_format": "image-in-json-out",
                  "template_inputs": [{"input_id": "model_folder", "input": "/another"}]}
        db.execute("UPDATE attempts SET request = ?", [json.dumps(json.loads(text) | {"template": json.dumps(former)})])
        db.commit()
    assert shown(ready, "flowers")["template"] == said


def test_check_takes_a_template(ready, templates, model):
    assert "sound: TensorFlow" in ready.run("check", model(), "--template", "tf-image", check=True).stdout


@pytest.mark.parametrize("arguments, complaint", [
    (["--template", "nope"], "--template: there is no template nope; there are: tf-image"),
    (["--template", "../tf-image"], "--template: \"../tf-image\"; expected 1 to 64 letters"),
    (["--template", "tf-image", "--infer-format", "x"],
     "--infer-format: \"x\"; expected image-in-json-out, undefined"),
    (["--infer-format", "x"], "--infer-format: only with --template"),
    (["--template", "tf-image", "--type", "TensorFlow"], "--type: not with --template"),
    (["--type", "Template"], "--type: \"Template\" needs a template"),
    (["--template", "tf-image", "--config", "CONFIG"], "--config: not with a template"),
    (["--template", "tf-image", "--runtime", "nope"], "runtime nope"),
])
def test_faults_of_the_request(ready, templates, model, tmp_path, arguments, complaint):
    (tmp_path / "c.json").write_text("{}")
    arguments = [str(tmp_path / "c.json") if word == "CONFIG" else word for word in arguments]
    refused = ready.run("import", model(), *arguments)
    assert refused.returncode == 2 and complaint in refused.stderr, str(refused)
    assert ready.run("models", "--json", check=True).stdout == ""


def test_a_runtime_that_is_not_there_is_told_at_once(ready, templates, model):
    templates(tf_image=TEMPLATE | {"runtime": "tf2"})
    refused = ready.run("import", model(), "--template", "tf-image")
    assert refused.returncode == 2 and "tf2" in refused.stderr
    doctor = ready.run("doctor", "--json").stdout
    assert "tf-image: for TensorFlow there is no runtime tf2" in doctor


BROKEN = [
    ('{"engine": "TensorFlow",', "broken.json line 1, column 25: it is"),
    ({"engine": "Tensorflow"}, "engine is \"Tensorflow\"; expected TensorFlow, "),
    ({"engine": "Image"}, "engine is \"Image\"; expected an engine"),
    ({"engin": "TensorFlow"}, "engin is \"TensorFlow\"; expected nothing: there is no such field"),
    ({"runtime": "../x"}, "runtime is \"../x\"; expected 1 to 64 letters"),
    ({"theme": "Other"}, "theme is \"Other\"; expected Classification or Common"),
    ({"description": {"en": "a"}}, "description/zh is missing; expected a text"),
    ({"config": {}}, "config/model_algorithm is missing"),
    ({"config": {"model_algorithm": "1"}}, "config/model_algorithm is \"1\""),
    ({"config": {"model_algorithm": "a", "model_type": "TensorFlow"}},
     "config/model_type is \"TensorFlow\"; expected nothing"),
    ({"config": {"model_algorithm": "a", "dependencies": [{"installer": "npm", "packages": []}]}},
     "config/dependencies/0/installer is \"npm\""),
    ({"infer_formats": []}, "infer_formats is []; expected an array of one or more"),
    ({"infer_formats": [{"infer_format": "a"}, {"infer_format": "a"}]},
     "infer_formats/1/infer_format is \"a\"; expected another id"),
    ({"infer_formats": [{"infer_format": "a", "apis": [{"url": "/x"}]}]},
     "infer_formats/0/apis/0/url is \"/x\"; expected / "),
    ({"inputs": [{"input_id": "a"}, {"input_id": "b"}]}, "expected an array of one"),
    ({"inputs": [{"input_id": "a", "required": False}]}, "inputs/0/required is false; expected true"),
    ("[]", "it is []; expected an object"),
    ("{\"a\": 1, \"a\": 2}", "broken.json line 1, column 10: a is"),
    (" " * (1 << 20) + "{}", "broken.json line 1, column 1: it is"),
]


@pytest.mark.parametrize("change, complaint", BROKEN, ids=[str(number) for number in range(len(BROKEN))])
def test_a_broken_template_names_file_place_found_and_expected(ready, templates, model, change, complaint):
    templates(broken=change if isinstance(change, str) else TEMPLATE | change)
    refused = ready.run("import", model(), "--template", "broken")
    assert refused.returncode == 2 and complaint in refused.stderr, str(refused)
    doctor = ready.run("doctor")
    assert doctor.returncode == 1 and complaint in doctor.stdout, str(doctor)
    listed = ready.run("templates")
    assert listed.returncode == 1 and complaint in listed.stderr
    assert listed.stdout.startswith("tf-image ")


def test_a_runtime_beside_the_template_s_own_is_a_fault(ready, templates, base_layout, model):
    ready.run("runtime", "add", "other", "--image", f"oci:{base_layout}:latest", check=True)
    templates(tf_image=TEMPLATE | {"runtime": "base"})
    ready.run("import", model(), "--template", "tf-image", "--runtime", "base", check=True)
    refused = ready.run("import", model(), "--template", "tf-image", "--runtime", "other")
    assert refused.returncode == 2 and "says \"base\", the request says other" in refused.stderr, str(refused)


def test_completion_knows_the_templates(ready, templates):
    templates(torch=TEMPLATE | {"engine": "PyTorch"})
    assert complete(ready, "import", "x", "--template", "") == {"tf-image", "torch"}
    assert "--infer-format" in complete(ready, "check", "x", "--infer")


def test_every_fault_is_told_not_the_first(ready, templates, model):
    templates(broken={"engine": "x", "y": 1, "config": {}, "inputs": []})
    complaints = ready.run("import", model(), "--template", "broken").stderr.splitlines()
    assert len([line for line in complaints if "broken.json line" in line]) == 5


def test_a_file_is_opened_beneath_the_directory(ready, templates, model, tmp_path):
    where = templates()
    (tmp_path / "outside.json").write_text(json.dumps(TEMPLATE))
    os.symlink(tmp_path / "outside.json", where / "link.json")
    os.symlink("../outside.json", where / "up.json")
    os.symlink("tf-image.json", where / "inside.json")
    os.mkfifo(where / "pipe.json")
    (where / "folder.json").mkdir()
    for name in ("link", "up", "pipe", "folder"):
        refused = ready.run("import", model(), "--template", name, timeout=20)
        assert refused.returncode == 2 and f"--template: {name}.json" in refused.stderr, str(refused)
    ready.run("import", model(), "--template", "inside", check=True)


def test_the_list(ready, templates):
    row = ready.run("templates", check=True).stdout
    assert row.split() == ["tf-image", "TensorFlow", "-", "image-in-json-out,undefined", "TensorFlow",
                           "image", "classification"]
    assert "TensorFlow 图像分类模板" in ready.run("templates", "--lang", "zh", check=True).stdout
    [template] = [json.loads(line) for line in
                  ready.run("templates", "--json", check=True).stdout.splitlines()]
    assert template["infer_formats"][0]["apis"] == APIS
    ready.environment.pop("WAYBILL_TEMPLATES_DIR")
    none = ready.run("templates", check=True)
    assert none.stdout == "" and "templates.dir" in none.stderr
    gone = ready.run("templates", "--set", "templates.dir=/nowhere/at/all")
    assert gone.returncode == 3 and "templates.dir cannot be read" in gone.stderr
    assert ready.run("templates", "--set", "templates.dir=relative").returncode == 2


def test_the_documents_example_is_sound(ready, templates):
    text = (ROOT / "docs/sources.md").read_text()
    templates(documented=text.split("```json\n")[1].split("```")[0])
    assert "documented " in ready.run("templates", check=True).stdout


# -- over HTTP --

@pytest.fixture
def served(ready, templates, tmp_path):
    server = Server(ready, tmp_path)
    yield server
    assert server.stop() == 0


def body(folder, **template):
    return {"model_name": "m", "model_version": "0.0.1", "model_type": "Template",
            "template": {"template_id": "tf-image",
                         "template_inputs": [{"input_id": "model_folder", "input": f"file://{folder}"}]}
            | template}


def post(server, body):
    return server.ask("POST", "/v1/default/models", body)


def test_a_model_by_a_template(served, model):
    asked = body(model())
    details = served.settled(post(served, asked).json["model_id"])
    assert details["model_status"] == "published"
    assert (details["model_type"], details["engine"]) == ("Template", "TensorFlow")
    assert details["template"] == asked["template"] | {"infer_format": "image-in-json-out"}
    assert details["source_location"] == f"file://{model()}"
    for query, found in (("model_type=Template", 1), ("model_type=TensorFlow", 1), ("model_type=Custom", 0),
                         ("not_model_type=Template", 0), ("not_model_type=Custom", 1)):
        assert served.get(f"/models?{query}").json["count"] == found, query
    document = json.loads(SOURCE.read_text())
    assert set(details) <= schema_fields(document, "Model"), set(details) - schema_fields(document, "Model")
    assert not faults(validator_of(document, {"$ref": "#/components/schemas/Model"}), details)
    assert not faults(validator_of(document, {"$ref": "#/components/schemas/CreateModel"}), asked)
    shown = served.waybill.run("models", "--server", f"http://{served.netloc}", check=True).stdout
    assert "TensorFlow" in shown


def test_what_the_request_says_itself_wins(served, model):
    apis = [{"url": "/", "method": "GET"}]
    asked = body(model(), infer_format="undefined") | {
        "model_algorithm": "mine", "apis": apis, "source_job_id": "job-1", "source_job_version": "v3",
        "source_location": f"file://{model()}"}
    details = served.settled(post(served, asked).json["model_id"])
    config = json.loads(details["config"])
    assert (config["model_algorithm"], config["apis"]) == ("mine", apis)
    assert (details["source_job_id"], details["source_job_version"]) == ("job-1", "v3")


def test_the_source_may_stand_in_source_location(served, model):
    asked = body(model()) | {"source_location": f"file://{model()}"}
    del asked["template"]["template_inputs"]
    details = served.settled(post(served, asked).json["model_id"])
    assert details["model_status"] == "published"
    assert details["template"]["template_inputs"] == [
        {"input_id": "model_folder", "input": f"file://{model()}"}]


def faults_of(answer):
    assert answer.status == 400, str(answer)
    return answer.json["details"]


def test_every_fault_of_a_request_is_named(served, model):
    good = body(model())
    assert faults_of(post(served, good | {"template": None})) == ["template is missing"]
    assert faults_of(post(served, good | {"template": {"infer_format": 3, "x": 1}})) == [
        "template.template_id is missing", "template.infer_format must be a string",
        "template.x is not a field of this version"]
    assert faults_of(post(served, body(model(), template_inputs=[]))) == ["template.template_inputs is missing"]
    assert faults_of(post(served, body(model(), template_inputs=[{}, {}]))) == [
        "template.template_inputs has 2; expected one: an import has one source",
        "template.template_inputs[0].input is missing"]
    assert faults_of(post(served, good | {"source_location": "file:///elsewhere"})) == [
        "source_location is another than template.template_inputs[0].input; leave it out, or say the same"]
    assert faults_of(post(served, body(model(), template_id="nope") | {"model_name": "!"})) == [
        "template: there is no template nope; there are: tf-image",
        "model_name: \"!\"; expected 1 to 64 letters (Chinese too), digits, '-' and '_'"]
    wrong = body(model(), infer_format="x", template_inputs=[
        {"input_id": "y", "input": f"file://{model()}"}]) | {"initial_config": "{}"}
    assert faults_of(post(served, wrong)) == [
        "template.infer_format: \"x\"; expected image-in-json-out, undefined",
        "template.template_inputs[0].input_id: \"y\"; expected model_folder",
        "initial_config: not with a template, which brings the config"]
    custom = good | {"model_type": "Custom", "source_location": f"file://{model()}"}
    assert faults_of(post(served, custom)) == ["template: only with model_type Template"]
    assert faults_of(post(served, good | {"apis": [{"url": "/x"}]}))
    assert served.get("/models").json["count"] == 0


def test_a_broken_template_is_refused_without_the_server_s_paths(served, templates, model):
    where = templates(broken=TEMPLATE | {"engine": "x"})
    refused = post(served, body(model(), template_id="broken"))
    assert faults_of(refused)[0].startswith("template: broken.json line 10, column 12: engine is \"x\"; ")
    assert str(where) not in json.dumps(refused.json)
    listed = served.get("/models/template").json
    assert [one["template_id"] for one in listed["templates"]] == ["tf-image"]


def test_an_input_is_no_way_around_the_rules(served, model, tmp_path):
    for place in ("file:///etc", f"file://{tmp_path}/../..", "s3://bucket/../x", "upload://nobody",
                  "//etc", "/../etc", "oci:/etc:latest", "registry.example.com/a/b:1"):
        for asked in (body(model(), template_inputs=[{"input": place}]),
                      body(model(), template_inputs=[]) | {"source_location": place}):
            refused = post(served, asked)
            assert refused.status == 400, (place, str(refused))
            assert refused.json["error_code"] in ("ModelArts.3017", "ModelArts.3037"), str(refused)


def test_a_check_by_a_template(served, model):
    asked = {"model_type": "Template", "template": body(model())["template"]}
    answer = served.ask("POST", "/v1/default/models/check", asked).json
    assert answer["ok"] and answer["model_type"] == "TensorFlow", answer


def test_the_list_over_http(served, templates):
    templates(pytorch_any=TEMPLATE | {"engine": "PyTorch", "runtime": "torch", "theme": "Common", "name": "Any"})
    whole = served.get("/models/template").json
    document = json.loads(SOURCE.read_text())
    for template in whole["templates"]:
        assert set(template) == schema_fields(document, "ModelTemplate")
        assert not faults(validator_of(document, {"$ref": "#/components/schemas/ModelTemplate"}), template)
    assert (whole["count"], whole["total_count"]) == (2, 2)
    assert [one["template_id"] for one in whole["templates"]] == ["pytorch-any", "tf-image"]
    assert whole["templates"][1]["template_labels"] == {"theme": "Classification", "engine": "TensorFlow",
                                                        "environment": ""}
    for query, ids in (("engine=PyTorch", ["pytorch-any"]), ("theme=Classification", ["tf-image"]),
                       ("env=torch", ["pytorch-any"]), ("keyword=分类", ["tf-image"]), ("keyword=tf-", ["tf-image"]),
                       ("offset=1", ["tf-image"]), ("offset=2", []), ("limit=1", ["pytorch-any"])):
        page = served.get("/models/template?" + quote(query, safe="=&")).json
        assert [one["template_id"] for one in page["templates"]] == ids, query
    assert served.get("/models/template?offset=x").status == 400
    assert served.get("/models/template/events").status == 404, "it is a list, and no model of that id"


def test_the_command_line_of_a_server(served, templates, model):
    url = f"http://{served.netloc}"
    client = served.waybill
    client.environment.pop("WAYBILL_TEMPLATES_DIR")
    done = client.run("import", model({"model/x": "a folder of that name"}), "--template", "tf-image", "--server", url,
                      "--source-job-id", "job-7", "--json", check=True)
    assert event_names(done.events) == SOUND
    details = json.loads(client.run("show", "flowers", "--json", "--server", url, check=True).stdout)
    assert (details["engine"], details["source_job_id"]) == ("TensorFlow", "job-7")
    assert client.run("templates", "--server", url, check=True).stdout.startswith("tf-image ")
    refused = client.run("import", model(), "--template", "nope", "--server", url)
    assert refused.returncode == 2 and "there is no template nope; there are: tf-image" in refused.stderr


def test_the_live_list_says_the_same_type(served, model):
    connection = served.connection()
    connection.request("GET", "/v1/default/events/stream")
    answer = connection.getresponse()
    served.settled(post(served, body(model())).json["model_id"])
    types = set()
    for line in answer:
        if line.startswith(b"data: ") and b"model_type" in line:
            change = json.loads(line[6:])
            types.add(change["model_type"])
            if change["model_status"] == "published":
                break
    connection.close()
    assert types == {"Template"}


def test_a_retry_over_http_may_take_another_template(served, templates, model, tmp_path):
    templates(custom=TEMPLATE | {"engine": "Custom"})
    folder = write_package(tmp_path / "other", {"weights.bin": "x"})
    failed = served.settled(post(served, body(folder)).json["model_id"])
    assert failed["failure"]["reason"] == "ModelFileMissing"
    path = f"/v1/default/models/{failed['model_id']}/retry"
    again = write_package(tmp_path / "again", {"weights.bin": "x"})
    assert served.ask("POST", path, {"source_location": f"file://{again}"}).status == 200
    details = served.settled(failed["model_id"])
    assert details["template"]["template_inputs"][0]["input"] == details["source_location"] == f"file://{again}"
    refused = served.ask("POST", path, {"template": {"template_id": "nope"}, "source_location": f"file://{folder}"})
    assert faults_of(refused) == ["template: there is no template nope; there are: custom, tf-image"]
    assert faults_of(served.ask("POST", path, {"template": {"template_id": "custom"}}))
    outside = {"template": body("/etc", template_id="custom")["template"]}
    assert served.ask("POST", path, outside).json["error_code"] == "ModelArts.3017"
    again = {"template": body(folder, template_id="custom")["template"],
             "initial_config": None}  # as if it were not there
    assert served.ask("POST", path, again).status == 200
    details = served.settled(failed["model_id"])
    assert (details["model_status"], details["engine"]) == ("published", "Custom")
    assert details["template"]["template_id"] == "custom"


def test_a_failed_one_is_tried_again_by_the_command_line_of_a_server(served, templates, model, tmp_path):
    url, client = f"http://{served.netloc}", served.waybill
    templates(custom=TEMPLATE | {"engine": "Custom"})
    folder = write_package(tmp_path / "other", {"weights.bin": "x"})
    arguments = ["import", folder, "--name", "m", "--server", url, "--json"]
    assert client.run(*arguments, "--template", "tf-image").returncode == 1
    again = client.run(*arguments, "--template", "custom", check=True)
    assert {event["attempt"] for event in again.events} == {2}
    packed = write_package(tmp_path / "packed", {"model/config.json": {"model_algorithm": "a", "model_type": "Custom"},
                                                 "model/x": "x"})
    assert client.run("import", folder, "--name", "n", "--server", url, "--template", "tf-image").returncode == 1
    client.run("import", packed, "--name", "n", "--server", url, check=True)
    rows = [json.loads(line) for line in client.run("models", "--server", url, "--json", check=True).stdout.splitlines()]
    assert {(row["model_name"], row["model_version"], row["model_status"]) for row in rows} == {
        ("m", "0.0.1", "published"), ("n", "0.0.1", "failed"), ("n", "0.0.2", "published")}


@pytest.mark.parametrize("arguments", [[], ["--child", "."], ["--child", "deep/er"]], ids=" ".join)
def test_a_retry_on_a_server_sends_another_source(served, model, tmp_path, arguments):
    url, client = f"http://{served.netloc}", served.waybill
    empty = write_package(tmp_path / "empty", {"readme": "x"})
    assert client.run("import", empty, "--name", "m", "--template", "tf-image", "--server", url).returncode == 1
    gone = client.run("retry", "m", tmp_path / "gone", "--server", url)
    assert gone.returncode == 2 and "there is no directory" in gone.stderr, str(gone)
    model(name="other/deep/er" if "deep/er" in arguments else "other")
    again = client.run("retry", "m", tmp_path / "other", *arguments, "--server", url, "--json", check=True)
    assert again.events[-1]["reason"] == "ModelImported" and again.events[0]["attempt"] == 2
