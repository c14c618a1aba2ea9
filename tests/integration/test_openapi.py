"""GET /openapi.json: valid by the schema of OpenAPI 3.1, complete by the table of routes, and true by
what the server really answers."""
import json
import re

import jsonschema
import pytest

from conftest import ROOT

METHODS = ("get", "put", "post", "delete", "patch")
SOURCE = ROOT / "src/server/openapi.json"
ROW = re.compile(r'\{"([A-Z]+)",\s*((?:[A-Z]+\s*|"[^"]*"\s*)+),')


@pytest.fixture
def document(server):
    answer = server.ask("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    return answer.json


def routes_of_table():
    """{(method, path)} of API_ROUTES, as the source has them."""
    source = (ROOT / "src/server/router.c").read_text()
    words = dict(re.findall(r"#define\s+(\w+)\s+(.*)", source))
    table = source[source.index("API_ROUTES[] = {"):]

    def text(parts):
        return "".join(part[1:-1] if part.startswith('"') else text(words[part])
                       for part in re.findall(r'"[^"]*"|\w+', parts))

    rows = ROW.findall(table)
    assert len(rows) == table.count('{"'), "every row of the table is understood"
    return {(method.lower(), text(path).replace("...}", "}")) for method, path in rows}


def routes_of(document):
    return {(method, path) for path, item in document["paths"].items()
            for method in item if method in METHODS}


def validator_of(document, schema):
    """Of a schema that refers to the document's others."""
    return jsonschema.Draft202012Validator(schema | {"components": document["components"]})


def faults(validator, value):
    return [f"{list(fault.absolute_path)}: {fault.message}" for fault in validator.iter_errors(value)]


def test_every_route_is_described_and_nothing_else(document):
    table = routes_of_table()
    assert ("get", "/v1/{project_id}/models/{model_id}/events") in table
    missing = sorted(table - routes_of(document))
    assert not missing, f"describe them in {SOURCE}: {missing}"
    assert not routes_of(document) - table


def test_the_description_is_valid_by_the_schema_of_openapi(document):
    schema = json.loads((ROOT / "tests/data/openapi-3.1-2026-08-03.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for one in (document, json.loads(SOURCE.read_text())):
        assert not faults(validator, one)
        for name, component in one["components"]["schemas"].items():
            jsonschema.Draft202012Validator.check_schema(component)
    assert faults(validator, document | {"paths": {"no-slash": {}}}), "it finds what is wrong"


def every(value, key):
    """Each value under that key, at any depth."""
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        yield from every(one, key)


@pytest.mark.parametrize("served", [True, False])
def test_references_and_parameters_lead_somewhere(document, served):
    document = document if served else json.loads(SOURCE.read_text())
    references = set(every(document, "$ref"))
    assert len(references) > 20
    for reference in references:
        at = document
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]
    names = [operation["operationId"] for item in document["paths"].values()
             for method, operation in item.items() if method in METHODS]
    assert len(names) == len(set(names))
    for path, item in document["paths"].items():
        given = {reference["$ref"].split("/")[-1] for reference in item.get("parameters", [])}
        assert given == set(re.findall(r"\{(\w+)\}", path)), path


def test_examples_fit_their_schemas(document):
    examples = [({"$ref": "#/components/schemas/Event"}, example)
                for example in document["components"]["schemas"]["Event"]["examples"]]
    examples += [(content["schema"], content["example"])
                 for content in every(document["paths"], "application/json")
                 if "example" in content]
    assert len(examples) >= 4
    for schema, example in examples:
        assert not faults(validator_of(document, schema), example), example


def test_reasons_are_those_of_the_catalogue(server, document):
    catalog = server.ask("GET", "/v1/event-catalog").json
    assert document["components"]["schemas"]["Reason"]["enum"] == \
        [row["reason"] for row in catalog["events"]]


def answered(document, method, path, status="200"):
    response = document["paths"][path][method]["responses"][status]
    return response["content"]["application/json"]["schema"]


MODEL = "/v1/{project_id}/models/{model_id}"


def test_answers_are_as_they_are_described(server, document, package):
    """Whatever the server answers fits, and has no field that is not described."""
    broken = package(name="broken", config={"model_type": "Nonsense"})
    good, bad = (server.create(source, name).json["model_id"]
                 for source, name in ((package(), "good"), (broken, "bad")))
    for model_id in (good, bad):
        server.settled(model_id)
    second = server.create(package(), "good", "0.0.2").json["model_id"]
    server.settled(second)

    def hold(method, path, body=None, **arguments):
        full = path
        for name, value in {"project_id": "default", **arguments}.items():
            full = full.replace("{%s}" % name, value)
        answer = server.ask(method.upper(), full, body)
        assert answer.status == 200, answer
        validator = validator_of(document, answered(document, method, path))
        assert not faults(validator, answer.json), (path, answer)
        return answer.json

    for model_id in (good, bad):
        details = hold("get", MODEL, model_id=model_id)
        described = schema_fields(document, "Model")
        assert set(details) <= described, set(details) - described
        for event in hold("get", MODEL + "/events", model_id=model_id)["events"]:
            assert set(event) <= schema_fields(document, "Event"), event
    assert set(details["failure"]) <= schema_fields(document, "Failure")
    for item in hold("get", "/v1/{project_id}/models")["models"]:
        assert set(item) <= schema_fields(document, "ModelItem"), item
    checked = hold("post", "/v1/{project_id}/models/check",
                   {"source_location": f"file://{broken}"})
    assert checked["findings"] and set(checked) <= schema_fields(document, "CheckAnswer")
    for path in ("/healthz", "/readyz", "/v1/event-catalog", "/v1/maintenance", "/v1/whoami",
                 "/v1/audit", "/v1/workers", "/v1/tokens", "/v1/projects", "/v1/space", "/v3",
                 "/v3/auth/catalog", "/v3/auth/domains", "/v3/auth/projects", "/v3/projects", "/v1/{project_id}/statistics",
                 "/v1/{project_id}/models/ai-engine-runtimes", "/v1/{project_id}/models/template"):
        hold("get", path)
    for event in hold("get", "/v1/{project_id}/events")["events"]:
        assert set(event) <= schema_fields(document, "ProjectEvent"), event
    login = {"for": "registry", "host": "registry.example.com", "user": "ci", "secret": "hidden"}
    hold("post", "/v1/{project_id}/credentials", login)
    hold("get", "/v1/{project_id}/credentials")
    hold("post", "/v1/maintenance", {"on": True, "until": "2h"})
    hold("post", "/v1/maintenance", {"on": False})
    hold("put", MODEL, {"description": "another"}, model_id=good)
    hold("get", MODEL + "/diff", model_id=second)
    hold("post", MODEL + "/retry", {}, model_id=bad)
    server.settled(bad)
    hold("post", MODEL + "/cancel", {}, model_id=bad)
    hold("delete", MODEL, model_id=good)
    hold("post", "/v1/sign-in-links", {"role": "admin", "project": "*"})
    refused = server.ask("GET", "/v1/default/models/nobody")
    assert not faults(validator_of(document, {"$ref": "#/components/schemas/Error"}), refused.json)


def schema_fields(document, name):
    schema = document["components"]["schemas"][name]
    fields = set(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        fields |= (schema_fields(document, part["$ref"].split("/")[-1]) if "$ref" in part
                   else set(part.get("properties", {})))
    return fields


def test_create_takes_every_field_that_is_described_and_no_other(server, document, package):
    described = schema_fields(document, "CreateModel")
    for field in sorted(described | {"nobody_knows_this"}):
        refused = server.ask("POST", "/v1/default/models", {field: {"wrong": "type"}})
        assert refused.status == 400
        unknown = f"{field} is not a field of this version" in refused.json["details"]
        assert unknown == (field not in described), refused


def test_an_etag_saves_the_second_answer(server):
    for path in ("/openapi.json", "/client/waybill.py"):
        first = server.ask("GET", path)
        again = server.ask("GET", path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        other = server.ask("GET", path, headers={"If-None-Match": '"another"'})
        assert other.status == 200 and other.body == first.body


def test_the_client_is_served_as_it_is(server):
    answer = server.ask("GET", "/client/waybill.py")
    assert answer.headers["content-type"] == "text/x-python; charset=utf-8"
    assert answer.body == (ROOT / "clients/python/waybill.py").read_bytes()
