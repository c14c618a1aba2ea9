"""What training jobs left in a bucket, asked for by the job; the job is kept and shown."""
import json
import subprocess

import pytest

from attempts import SOUND
from conftest import wait_for
from radosgw import bucket, rgw  # noqa: F401
from serving import Server
from wholeness import event_names


@pytest.fixture
def s3(ready, rgw):
    ready.environment |= {"WAYBILL_OBJECTS_ENDPOINT": rgw.endpoint, "AWS_ACCESS_KEY_ID": "AKalice",
                          "AWS_SECRET_ACCESS_KEY": "SKalice"}
    return ready


@pytest.fixture
def presets(s3, tmp_path):
    """presets(ID="s3://…", …): [training] of the settings file that s3 reads."""
    def write(**places):
        file = tmp_path / "waybill.conf"
        file.write_text("[training]\n" + "".join(f"{name.replace('_', '-')} = {place}\n"
                                                 for name, place in places.items()))
        s3.environment["WAYBILL_CONFIG_FILE"] = str(file)
        return s3
    return write


def shown(waybill, name):
    return json.loads(waybill.run("show", name, "--json", check=True).stdout)


def test_an_id_is_the_job_s(presets, rgw, bucket, package):
    rgw.put_folder(bucket, "runs/july", package())
    waybill = presets(job_7c1f=f"s3://{bucket}/runs/july/")
    done = waybill.run("import", "training://job-7c1f", "--json", check=True)
    assert event_names(done.events) == SOUND
    evidence = done.events[0]["evidence"]
    assert evidence["source"] == f"s3://{bucket}/runs/july/"
    assert (evidence["training"], evidence["source_job_id"]) == ("training://job-7c1f", "job-7c1f")
    details = shown(waybill, "job-7c1f")
    assert details["source_location"] == "training://job-7c1f", "read back as it was written"
    assert details["resolved_location"] == f"s3://{bucket}/runs/july/"
    assert details["source_job_id"] == "job-7c1f" and "source_job_version" not in details
    text = waybill.run("show", "job-7c1f", check=True).stdout
    assert f"s3://{bucket}/runs/july/" in text and "job-7c1f (training://job-7c1f)" in text
    assert "训练作业" in waybill.run("show", "job-7c1f", "--lang", "zh", check=True).stdout


def test_a_pattern_maps_any_job(presets, rgw, bucket, package):
    rgw.put_folder(bucket, "jobs/default/j-1/V0002/out/best", package())
    waybill = presets(resnet=f"obs://{bucket}/jobs/{{project}}/{{job_id}}/{{version}}/out")
    waybill.run("import", "training://resnet/best", "--name", "m", "--source-job-id", "j-1",
                "--source-job-version", "V0002", check=True)
    details = shown(waybill, "m")
    assert details["resolved_location"] == f"obs://{bucket}/jobs/default/j-1/V0002/out/best"
    assert (details["source_job_id"], details["source_job_version"]) == ("j-1", "V0002")
    assert "j-1, version V0002 (training://resnet/best)" in waybill.run("show", "m", check=True).stdout


def test_a_template_and_a_training_job(presets, rgw, bucket, tmp_path):
    rgw.put(bucket, "out/saved_model.pb", b"graph")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/tf.json").write_text(json.dumps(
        {"engine": "TensorFlow", "config": {"model_algorithm": "a"},
         "infer_formats": [{"infer_format": "undefined"}]}))
    waybill = presets(job=f"s3://{bucket}/out")
    waybill.environment["WAYBILL_TEMPLATES_DIR"] = str(tmp_path / "templates")
    waybill.run("import", "training://job", "--template", "tf", check=True)
    details = shown(waybill, "job")
    assert (details["engine"], details["source_job_id"]) == ("TensorFlow", "job")
    assert details["template"]["template_inputs"][0]["input"] == "training://job"


def test_a_retry_reads_the_same_place_or_another_job_s(presets, rgw, bucket, package):
    waybill = presets(first=f"s3://{bucket}/first", second=f"s3://{bucket}/second")
    assert waybill.run("import", "training://first", "--name", "m").returncode == 1
    rgw.put_folder(bucket, "second", package())
    waybill.run("retry", "m", "training://second", check=True)
    details = shown(waybill, "m")
    assert details["resolved_location"] == f"s3://{bucket}/second"
    assert (details["source_location"], details["source_job_id"]) == ("training://second", "second")
    assert waybill.run("import", "training://first", "--name", "n").returncode == 1
    waybill.run("retry", "n", package(), check=True)
    details = shown(waybill, "n")
    assert details["source_location"] == f"file://{package()}"
    assert not {"resolved_location", "source_job_id"} & set(details), "it is not the job's any more"


def test_the_job_of_any_import_is_kept_and_shown(ready, package):
    done = ready.run("import", package(), "--name", "m", "--source-job-id", "7", "--source-job-version", "1",
                     "--json", check=True)
    assert done.events[0]["evidence"]["source_job_id"] == "7"
    assert done.events[0]["evidence"]["source_job_version"] == "1"
    details = shown(ready, "m")
    assert (details["source_job_id"], details["source_job_version"]) == ("7", "1")
    assert "7, version 1" in ready.run("show", "m", check=True).stdout


@pytest.mark.parametrize("arguments, complaint", [
    (["training://nope"], "SOURCE: there is no training job \"nope\"; there are: exact, pattern"),
    (["training://"], "there is no training job \"\""),
    (["training://pattern"], "--source-job-id: missing: training://pattern is looked up by it"),
    (["training://pattern", "--source-job-id", "../x"], "--source-job-id: \"../x\"; expected 1 to 64 letters"),
    (["training://pattern", "--source-job-id", ".."], "--source-job-id: \"..\"; expected"),
    (["training://pattern", "--source-job-id", "a/b"], "--source-job-id: \"a/b\"; expected"),
    (["training://exact/../other"], "training://exact/../other\"; expected training://ID[/DIR] without"),
    (["training://exact//x"], "expected training://ID[/DIR] without empty parts"),
    (["training://exact/%2e%2e"], "expected training://ID[/DIR] without empty parts"),
    (["training://exact", "--source-job-id", ""], "--source-job-id: expected a text"),
])
def test_faults_of_the_request(presets, arguments, complaint):
    waybill = presets(exact="s3://bucket/runs/a", pattern="s3://bucket/runs/{job_id}/out")
    refused = waybill.run("import", *arguments)
    assert refused.returncode == 2 and complaint in refused.stderr, str(refused)
    assert waybill.run("models", "--json", check=True).stdout == ""


@pytest.mark.parametrize("place", ["/srv/models", "file:///srv/models", "upload://x", "s3://", "s3://bucket/{job}",
                                   "s3://bucket/../x", "registry.example.com/a:1", "s3://bucket/a%2e"])
def test_a_preset_that_is_no_place_in_a_bucket_is_an_error_of_the_settings(presets, place):
    refused = presets(job=place).run("models")
    assert refused.returncode == 2 and "waybill.conf line 2: training.job: " in refused.stderr, str(refused)


def test_an_id_that_is_none_is_an_error_of_the_settings(ready):
    refused = ready.run("models", "--set", "training.a b=s3://bucket/x")
    assert refused.returncode == 2 and "--set: training.a b: expected an id" in refused.stderr


# -- over HTTP --

@pytest.fixture
def serve(presets, tmp_path):
    """serve(ID="s3://…", allow="…"): a server with those presets."""
    running = []

    def start(allow="", **places):
        running.append(Server(presets(**places), tmp_path, *(["--set", f"sources.allow={allow}"] if allow else [])))
        return running[-1]
    yield start
    for server in running:
        assert server.stop() == 0


def give_keys(waybill, rgw, project):
    subprocess.run([waybill.program, "credential", "add", "--for", "s3", "--host", f"127.0.0.1:{rgw.port}",
                    "--user", "AKalice", "--secret-stdin", "--project", project], input="SKalice",
                   text=True, check=True, env=waybill.environment, capture_output=True)


def create(server, location, project="default", **fields):
    return server.ask("POST", f"/v1/{project}/models",
                      {"model_name": "m", "model_version": "0.0.1", "model_type": "Custom",
                       "source_location": location} | fields)


def ended(server, answer, project="default"):
    assert answer.status == 200, str(answer)
    path = f"/v1/{project}/models/{answer.json['model_id']}"
    wait_for(lambda: server.ask("GET", path).json["model_status"] in ("published", "failed"), 60)
    return server.ask("GET", path).json


def test_a_job_over_http_with_the_project_s_own_keys(serve, rgw, bucket, package):
    rgw.put_folder(bucket, "vision/j1", package())
    server = serve(allow=f"s3://{bucket}/{{project}}/", resnet=f"s3://{bucket}/{{project}}/{{job_id}}")
    give_keys(server.waybill, rgw, "vision")
    details = ended(server, create(server, "training://resnet", "vision", source_job_id="j1"), "vision")
    assert details["model_status"] == "published"
    assert (details["source_location"], details["source_job_id"]) == ("training://resnet", "j1")
    assert details["resolved_location"] == f"s3://{bucket}/vision/j1"


def test_only_what_the_project_may_import_from(serve, rgw, bucket, package):
    rgw.put_folder(bucket, "b/secret", package())
    server = serve(allow=f"a=s3://{bucket}/a b=s3://{bucket}/b", mine=f"s3://{bucket}/a/x",
                   theirs=f"s3://{bucket}/b/secret", any=f"s3://{bucket}/a/{{job_id}}")
    for location in ("training://theirs", "training://nope"):
        refused = create(server, location, "a")
        assert refused.status == 400
        name = location.removeprefix("training://")
        assert refused.json["details"] == [
            f"source_location: there is no training job \"{name}\"; there are: mine, any"], str(refused)
    refused = create(server, "training://any", "a", source_job_id="..")
    assert refused.json["details"][0].startswith("source_job_id: \"..\"; expected"), str(refused)
    assert create(server, "training://any", "a").json["details"] == [
        "source_job_id: missing: training://any is looked up by it"]
    for location in ("training://mine/../../b/secret", "training://mine/%2e%2e/x"):
        assert create(server, location, "a").status == 400


def test_a_place_is_bounded_as_if_it_were_written_out(serve, rgw, bucket, package):
    server = serve(allow=f"a=s3://{bucket}/a/job-7 a=s3://{bucket}/a/job-8/V1/best", any=f"s3://{bucket}/a/{{job_id}}",
                   of=f"s3://{bucket}/a/{{job_id}}/{{version}}")
    give_keys(server.waybill, rgw, "a")
    rgw.put_folder(bucket, "a/job-7", package())
    rgw.put_folder(bucket, "a/job-8/V1/best", package())

    def refused(location, **job):
        answer = create(server, location, "a", **job)
        assert answer.status == 400, str(answer)
        return answer.json["details"]
    for job in ({}, {"source_job_id": "j"}, {"source_job_id": "job-8"}, {"source_job_id": "job-7/.."}):
        assert refused("training://any", **job) == [
            "source_location: there is no training job \"any\"; there are: none"]
    assert refused("training://of", source_job_id="job-8", source_job_version="V1")
    assert refused("training://of/best", source_job_id="job-8", source_job_version="V2")
    done = ended(server, create(server, "training://any", "a", source_job_id="job-7"), "a")
    assert (done["model_status"], done["resolved_location"]) == ("published", f"s3://{bucket}/a/job-7")
    done = ended(server, create(server, "training://of/best", "a", source_job_id="job-8", source_job_version="V1",
                                model_version="0.0.2"), "a")
    assert (done["model_status"], done["resolved_location"]) == ("published", f"s3://{bucket}/a/job-8/V1/best")


def test_a_project_that_may_import_from_none_of_them_learns_none(serve, bucket):
    server = serve(allow="elsewhere=s3://other", job=f"s3://{bucket}/x")
    assert create(server, "training://job").json["details"] == [
        "source_location: there is no training job \"job\"; there are: none"]


def test_the_command_line_of_a_server(serve, rgw, bucket, package):
    rgw.put_folder(bucket, "out/j9", package())
    server = serve(job=f"s3://{bucket}/out/{{job_id}}")
    give_keys(server.waybill, rgw, "default")
    client, url = server.waybill, f"http://{server.netloc}"
    client.environment.pop("WAYBILL_CONFIG_FILE")
    done = client.run("import", "training://job", "--server", url, "--type", "Custom", "--source-job-id", "j9",
                      "--json", check=True)
    assert done.events[0]["evidence"]["source"] == f"s3://{bucket}/out/j9"
    direct = client.run("import", f"s3://{bucket}/out/j9", "--server", url, "--type", "Custom", "--json", check=True)
    assert direct.events[-1]["reason"] == "ModelImported"
    refused = client.run("import", "training://nope", "--server", url, "--type", "Custom")
    assert refused.returncode == 2 and "there is no training job \"nope\"; there are: job" in refused.stderr
    untyped = client.run("import", "training://job", "--server", url)
    assert untyped.returncode == 2 and "--type" in untyped.stderr


def test_another_job_s_import_is_no_retry_of_the_one_that_failed(serve, rgw, bucket, package):
    server = serve(resnet=f"s3://{bucket}/out/{{job_id}}")
    give_keys(server.waybill, rgw, "default")
    client, url = server.waybill, f"http://{server.netloc}"
    client.environment.pop("WAYBILL_CONFIG_FILE")

    def run(*job):
        return client.run("import", "training://resnet", "--server", url, "--type", "Custom", "--json", *job)
    failed = run("--source-job-id", "7", "--source-job-version", "V1")
    assert failed.returncode == 1, str(failed)
    for job in ("7", "8"):
        rgw.put_folder(bucket, f"out/{job}", package(name=f"job{job}"))
    done = run("--source-job-id", "8")
    assert done.returncode == 0 and done.events[0]["attempt"] == 2, str(done)
    assert done.events[0]["evidence"]["source"] == f"s3://{bucket}/out/8"
    [item] = server.get("/models").json["models"]
    details = server.get(f"/models/{item['model_id']}").json
    assert (details["source_job_id"], details["resolved_location"]) == ("8", f"s3://{bucket}/out/8")
    assert "source_job_version" not in details, "V1 is of job 7"


def test_a_retry_over_http_may_name_another_job(serve, rgw, bucket, package):
    server = serve(resnet=f"s3://{bucket}/out/{{job_id}}/{{version}}", one=f"s3://{bucket}/one")
    give_keys(server.waybill, rgw, "default")
    rgw.put_folder(bucket, "out/8/V2", package())
    failed = ended(server, create(server, "training://resnet", source_job_id="7", source_job_version="V1"))
    path = f"/v1/default/models/{failed['model_id']}/retry"
    assert server.ask("POST", path, {"source_job_id": "8"}).json["details"] == [
        "source_job_version: missing: training://resnet is looked up by it"]
    assert server.ask("POST", path, {"source_job_id": "../x", "source_job_version": "V2"}).status == 400
    assert server.ask("POST", path, {"source_location": "training://one"}).status == 200
    assert server.settled(failed["model_id"])["source_job_id"] == "7", "as it was said"
    again = {"source_location": "training://resnet", "source_job_id": "8", "source_job_version": "V2"}
    assert server.ask("POST", path, again).status == 200
    details = server.settled(failed["model_id"])
    assert details["model_status"] == "published"
    assert details["resolved_location"] == f"s3://{bucket}/out/8/V2"
    assert (details["source_job_id"], details["source_job_version"]) == ("8", "V2")


def test_a_retry_s_job_alone_is_looked_up_where_the_former_one_was(serve, rgw, bucket, package):
    server = serve(resnet=f"s3://{bucket}/out/{{job_id}}")
    give_keys(server.waybill, rgw, "default")
    rgw.put_folder(bucket, "out/8", package())
    failed = ended(server, create(server, "training://resnet", source_job_id="7"))
    path = f"/v1/default/models/{failed['model_id']}/retry"
    assert server.ask("POST", path, {"source_job_id": "8"}).status == 200
    details = server.settled(failed["model_id"])
    assert (details["model_status"], details["source_job_id"]) == ("published", "8")
    assert details["resolved_location"] == f"s3://{bucket}/out/8"
