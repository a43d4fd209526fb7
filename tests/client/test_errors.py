"""One class per code of the API; what the core refuses is a `Rejected` over HTTP as well."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from api.problems import CODES, Problem
from nexus import NexusError, Rejected
from nexus.client import ApiError, ClientError
from nexus.client.errors import KINDS, error_of
from nexus.core.errors import RefusalCode


def test_each_code_of_the_api_has_a_class_of_its_own() -> None:
    assert set(KINDS) == set(CODES)
    assert len(set(KINDS.values())) == len(KINDS)
    for code, kind in KINDS.items():
        words = "internal_error" if code == "internal" else code
        assert kind.__name__ == words.title().replace("_", "")


@pytest.mark.parametrize("code", CODES)
def test_what_the_core_refuses_is_a_rejection(code: str) -> None:
    error = error_of(CODES[code].status, {"code": code, "detail": "No.", "why": [1]})
    assert isinstance(error, ClientError)
    assert isinstance(error, NexusError)
    assert isinstance(error, Rejected) == (code in get_args(RefusalCode))
    assert (error.code, error.message, error.details) == (code, "No.", {"why": [1]})
    assert str(error) == f"{code}: No."


def test_a_problem_is_read_as_the_api_writes_it() -> None:
    written = Problem("ambiguous", "Which?", {"records": ["a", "b"]}).response("17")
    error = error_of(written.status_code, msgspec.json.decode(written.body))
    assert (error.status, error.details) == (422, {"records": ["a", "b"]})
    assert error.correlation_id == "17"


def test_a_code_of_a_newer_platform_is_an_error_of_the_api() -> None:
    error = error_of(418, {"code": "teapot", "title": "Teapot"})
    assert type(error) is ApiError
    assert (error.code, error.message, error.status) == ("teapot", "Teapot", 418)
