"""docs/openapi.yaml says what the program's own tables and docs/API.md say, no more and no less."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
METHODS = ("get", "post", "delete", "put", "patch")


def source(path):
    return (ROOT / path).read_text()


def shape(path):
    """With nothing between the braces."""
    return re.sub(r"\{\w*\}", "{}", path)


@pytest.fixture(scope="module")
def document():
    return yaml.safe_load(source("docs/openapi.yaml"))


@pytest.fixture(scope="module")
def operations(document):
    """{(method, path): operation}, the path as the program has it."""
    return {(method.upper(), shape(path)): operation for path, item in document["paths"].items()
            for method, operation in item.items() if method in METHODS}


@pytest.fixture(scope="module")
def routes():
    """{(method, path): verb's constant} of src/http/route.c."""
    found = re.findall(r'\{ "([A-Z]+)", "([^"]+)", (VERB_\w+) \}', source("src/http/route.c"))
    assert len(found) > 50
    return {(method, path): verb for method, path, verb in found}


@pytest.fixture(scope="module")
def verbs():
    """{constant: (name, roles, members)} of src/engine/verb.c."""
    rows = re.findall(r'\[(VERB_\w+)\] = \{ "([^"]+)",\s*([LOATGU| ]+),\s*[A-Z_| ]+,\s*[A-Z_0| ]+,\s*((?:"[^"]*"\s*)+),',
                      source("src/engine/verb.c"))
    return {constant: (name, set(re.findall("[LOATGU]", roles)), "".join(re.findall('"([^"]*)"', members)).split())
            for constant, name, roles, members in rows}


@pytest.fixture(scope="module")
def told():
    """{(method, path): roles} of docs/API.md."""
    rows = re.findall(r"^\| `([A-Z]+) ([^` ]+)` \| ([LOATGU ]+) \|", source("docs/API.md"), re.M)
    return {(method, shape(path)): set(roles.split()) for method, path, roles in rows}


def members_of(operation):
    body = operation.get("requestBody")
    if body is None:
        return []
    schema = body["content"]["application/json"]["schema"]
    assert schema["additionalProperties"] is False
    return list(schema.get("properties", {}))


def test_every_route_is_in_it_and_nothing_else(operations, routes, told):
    assert set(operations) == set(routes)
    assert set(told) == set(routes)


def test_an_operation_is_named_like_its_verb(operations, routes, verbs):
    assert {route: operation["operationId"] for route, operation in operations.items()} == \
        {route: verbs[constant][0] for route, constant in routes.items()}


def test_roles_are_those_of_the_program_and_of_the_api_text(operations, routes, verbs, told):
    for route, operation in operations.items():
        assert set(operation["x-roles"]) == verbs[routes[route]][1] == told[route], route


def test_a_body_has_the_members_that_the_program_knows(operations, routes, verbs):
    for route, operation in operations.items():
        assert sorted(members_of(operation)) == sorted(verbs[routes[route]][2]), route
        if operation.get("requestBody"):
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert set(schema.get("required", [])) <= set(members_of(operation)), route
        assert ("requestBody" in operation) == (route[0] == "POST"), route


def test_the_parameters_of_a_path_are_declared(document):
    for path, item in document["paths"].items():
        declared = [parameter["name"] for parameter in item.get("parameters", [])]
        assert declared == re.findall(r"\{(\w+)\}", path), path


def test_arguments_are_those_that_the_program_reads(document):
    server = source("src/http/server.c")
    begin = server.index("static void copy_query")
    read = set(re.findall(r'"([a-z]+)"', server[begin:server.index("\n}\n", begin)]))
    read |= set(re.findall(r'\(x, "([a-z]+)"', source("src/http/query.c")))
    assert set(document["components"]["parameters"]) == read
    for name, parameter in document["components"]["parameters"].items():
        assert (parameter["name"], parameter["in"]) == (name, "query")


def test_every_answer_is_described_and_so_is_every_refusal(operations):
    for route, operation in operations.items():
        codes = set(operation["responses"])
        assert len(codes & {"200", "201"}) == 1 and codes - {"200", "201"} == {"default"}, route
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}, route


def test_titles_of_problems_are_those_of_the_api_text(document):
    problem = document["components"]["schemas"]["Problem"]
    titles = {title: int(status) for title, status in
              re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", source("docs/API.md"), re.M)}
    assert problem["x-statuses"] == titles
    assert sorted(problem["properties"]["title"]["enum"]) == sorted(titles)


def test_references_lead_somewhere_and_everything_is_referred_to(document):
    text = source("docs/openapi.yaml")
    wanted = set(re.findall(r"\$ref: '#/components/(\w+)/([\w-]+)'", text))
    there = {(kind, name) for kind, entries in document["components"].items() for name in entries
             if kind in ("schemas", "parameters", "responses")}
    assert wanted - there <= {("headers", name) for name in document["components"]["headers"]}
    assert there - wanted == set()


def test_operations_that_can_be_proposed_are_those_of_the_program(document):
    table = re.findall(r'\{ "([a-z]+\.[a-z]+)"', source("src/wire/operation.c"))
    assert sorted(document["components"]["schemas"]["OperationName"]["enum"]) == sorted(set(table))
