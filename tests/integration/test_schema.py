"""The JSON Schema for editors agrees with what keepwell loads (tests/unit/reference_test.cpp loads the same examples)."""

import json
import pathlib
import re

import jsonschema
import pytest
import yaml

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((SOURCE / "docs/keepwell.schema.json").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def examples():
    pages = [SOURCE / "README.md", *SOURCE.glob("docs/**/*.md"), *SOURCE.glob("deploy/**/*.md")]
    for page in pages:
        if page.exists():
            blocks = re.findall(r"^```yaml\n(# keepwell\.yaml.*?)^```", page.read_text(), re.M | re.S)
            for number, block in enumerate(blocks):
                yield pytest.param(block, id=f"{page.relative_to(SOURCE)}-{number}")
    for file in [*SOURCE.glob("deploy/**/keepwell.yaml"), SOURCE / "deploy/quickstart.yaml",
                 SOURCE / "tests/fuzz/corpus/config/whole.yaml"]:
        yield pytest.param(file.read_text(), id=str(file.relative_to(SOURCE)))


def problems(text):
    return [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


def test_the_schema_is_a_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("text", examples())
def test_every_example_is_accepted(text):
    assert problems(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "servces: {}",
        "mode: loud",
        "max_restarts_at_once: 0",
        "services: [a]",
        "services: {a: {prob: []}}",
        "services: {a: {probes: [{name: x}]}}",
        "services: {a: {probes: [{tcp: 'a:1', exec: [b]}]}}",
        "services: {a: {probes: [{tcp: 'a:1', timeout: 5parsecs}]}}",
        "services: {a: {probes: [{tcp: {adress: 'a:1'}}]}}",
        "services: {a: {probes: [{tcp: {}}]}}",
        "services: {a: {depends_on: {b: {condition: soon}}}}",
        "webhooks: [{secret: x}]",
    ],
)
def test_what_keepwell_refuses_is_refused(text):
    assert problems(text) != []


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "x-mine: {anything: [1]}",
        "max_restarts_at_once: ${MANY}",
        "services: {a: , b: {depends_on: {a: }}, c: {depends_on: a}}",
        "services: {a: {probes: [{tcp: 'a:1', timeout: '${T:-5s}', start_period: 0}]}}",
        "services: {a: {probes: [{exec: {argv: x, exit_codes: 3, environment: {A: 1}}}]}}",
        "services: {a: {restart: observe, instances: all}}",
    ],
)
def test_short_forms_are_accepted(text):
    assert problems(text) == []
