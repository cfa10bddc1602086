"""The committed cases and their schemas."""

import json

from jsonschema import Draft202012Validator

import reference as ref
from torch_compare.cases import vectors

PATHS = vectors.case_paths(vectors.COMMITTED)

SCHEMAS = {
    name.partition(".")[0]: json.loads((vectors.COMMITTED / "schema" / name).read_text("utf-8"))
    for name in vectors.SCHEMAS
}


def validator(kind):
    Draft202012Validator.check_schema(SCHEMAS[kind])
    return Draft202012Validator(SCHEMAS[kind])


def of_layers(cases):
    """The cases of networks of layers."""
    return [case for case in cases if isinstance(case.problem.network, ref.MLP)]


def of_steps(cases):
    """The cases of networks of operations."""
    return [case for case in cases if isinstance(case.problem.network, ref.Network)]
