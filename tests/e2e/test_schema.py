"""The JSON Schema of the configuration takes what the program takes."""
import json
import subprocess

import pytest
from helpers.env import BINARY, ROOT, patience
from jsonschema import Draft202012Validator

GOOD = sorted([*(ROOT / "conf").glob("*.json"), *(ROOT / "conf/examples").glob("*.json")])
PLAIN = {"ports": {"80": {"tls": False}}, "routes": [{"respond": {}}]}


@pytest.fixture(name="schema", scope="module")
def fixture_schema():
    done = subprocess.run([BINARY, "config", "schema"], capture_output=True, check=True,
                          timeout=patience(30))
    return json.loads(done.stdout)


@pytest.fixture(name="complaints")
def fixture_complaints(schema):
    return lambda config: [e.message for e in Draft202012Validator(schema).iter_errors(config)]


def refused_by_the_program(tmp_path, config) -> bool:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(config))
    done = subprocess.run([BINARY, "check", "--no-certificates", path], capture_output=True,
                          timeout=patience(30), check=False)
    return done.returncode == 1


def test_it_is_a_schema_and_the_one_that_is_checked_in(schema):
    Draft202012Validator.check_schema(schema)
    assert json.loads((ROOT / "conf/sallyport.schema.json").read_text()) == schema, \
        "tools/check-docs.sh --update writes it anew"


def parts(schema, inherited=None):
    """(part, its type) of everything in it that is a schema itself."""
    if not isinstance(schema, dict):
        return
    kind = schema.get("type", inherited)
    yield schema, kind
    for key in ("properties", "patternProperties", "$defs"):
        for part in schema.get(key, {}).values():
            yield from parts(part)
    for key in ("items", "additionalProperties"):
        yield from parts(schema.get(key))
    yield from parts(schema.get("propertyNames"), "string")
    for part in (*schema.get("anyOf", []), *schema.get("oneOf", []),
                 *(schema.get(key) for key in ("if", "then", "else"))):
        yield from parts(part, kind)


def test_strict_validators_take_it(schema):
    """ajv refuses a schema, in its strict mode, whose keywords do not go with a type, and one that
    requires what it does not name."""
    for part, kind in parts(schema):
        assert "pattern" not in part or kind == "string", part
        assert "minimum" not in part or kind == "integer", part
        assert set(part.get("required", [])) <= set(part.get("properties", {})), part


@pytest.mark.parametrize("path", [p for p in GOOD if p.name != "sallyport.schema.json"],
                         ids=lambda p: p.stem)
def test_every_configuration_in_conf_is_taken(complaints, path):
    assert complaints(json.loads(path.read_text())) == []


@pytest.mark.parametrize("config", [
    {**PLAIN, "//": "why", "$schema": "sallyport.schema.json"},
    {**PLAIN, "ports": {"unix:/run/x": {"tls": False, "//": 1}, "[::1]:80": {"tls": False}}},
    {**PLAIN, "routes": [{"respond": {"text": "${ENV:HOME}", "headers": {"X-A": "b"}}}]},
    {**PLAIN, "threads": {"net": "auto", "ssl": 0}},
    {**PLAIN, "log": {"levels": "warn,tls=debug", "access": {"path": "-", "format": "json"}}},
])
def test_more_good_ones(complaints, tmp_path, config):
    assert not refused_by_the_program(tmp_path, config)
    assert complaints(config) == []


@pytest.mark.parametrize("config", [
    {},
    {**PLAIN, "prots": {}},
    {**PLAIN, "ports": {}},
    {**PLAIN, "ports": {"http": {"tls": False}}},
    {**PLAIN, "ports": {"80": {}}},
    {**PLAIN, "ports": {"80": {"tls": "no"}}},
    {**PLAIN, "ports": {"80": {"tls": False, "bundles": ["x"]}}},
    {**PLAIN, "ports": {"80": {"tls": False, "accept": {"backlog": 0}}}},
    {**PLAIN, "ports": {"80": {"tls": False, "accept": {"mode": "fast"}}}},
    {**PLAIN, "ports": {"80": {"tls": False, "accept": {"unix_mode": "660"}}}},
    {**PLAIN, "routes": [{}]},
    {**PLAIN, "routes": [{"respond": {}, "redirect": {"location": "/"}}]},
    {**PLAIN, "routes": [{"redirect": {}}]},
    {**PLAIN, "routes": [{"redirect": {"location": "x", "status": 307}}]},
    {**PLAIN, "routes": [{"redirect": {"location": "/", "status": 304}}]},
    {**PLAIN, "routes": [{"path": "a", "respond": {}}]},
    {**PLAIN, "routes": [{"host": "a..b", "respond": {}}]},
    {**PLAIN, "routes": [{"respond": {"headers": {"a b": "c"}}}]},
    {**PLAIN, "backends": {"a": {"servers": []}}},
    {**PLAIN, "backends": {"a": {"servers": ["localhost"]}}},
    {**PLAIN, "backends": {"a b": {"servers": ["h:1"]}}},
    {**PLAIN, "limits": {"max_fields": 1.5}},
    {**PLAIN, "threads": {"net": "many"}},
    {**PLAIN, "user": "a b"},
    [],
], ids=lambda c: json.dumps(c)[-50:])
def test_wrong_ones_are_refused(complaints, tmp_path, config):
    assert refused_by_the_program(tmp_path, config)
    assert complaints(config)
