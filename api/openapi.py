"""The OpenAPI document: what FastAPI derives, completed by what is true of every route."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.examples import EXAMPLES
from api.problems import CODES, MEDIA_TYPE
from api.schemas import ProblemBody

DESCRIPTION = """
Pipelines for CRM and marketing: a JSON definition becomes a live process, one
durable instance per subject.

* **Authentication**: `Authorization: Bearer <token>`, a JSON Web Token (HS256) with `sub`,
  `tenant`, `roles` and `exp`; `nexus token --tenant T --user U [--role R]` makes one.
* **Acting for somebody**: `Nexus-Actor` and `Nexus-Roles` name the user as whom a request acts, and
  their roles; `GET /v1/me` tells who that is.
* **Errors** are RFC 9457 problems with a stable `code`; `GET /problems` lists them.
* **Repeating**: every request that changes something takes an `Idempotency-Key`; for 24 hours
  the same key brings the first answer again, with `Idempotency-Replayed: true`.
* **Lists** take `limit` and `cursor`, and answer `{"items": […], "next": cursor or null}`.
"""

IDEMPOTENCY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes repeating safe: 1 to 255 printable ASCII characters, valid for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}

ACTOR_HEADERS = (
    {
        "name": "Nexus-Actor",
        "in": "header",
        "required": False,
        "description": "The user as whom this request acts, percent-encoded. Another one than the "
        "token's takes the role `admin`; they then have the roles of `Nexus-Roles` alone.",
        "schema": {"type": "string", "maxLength": 1800},
        "example": "ann",
    },
    {
        "name": "Nexus-Roles",
        "in": "header",
        "required": False,
        "description": "Their roles in this request, each percent-encoded, with commas between. "
        "Only with `Nexus-Actor`; a token without the role `admin` can name roles of its own.",
        "schema": {"type": "string"},
        "example": "manager, rep",
    },
)

DATA_PARAMETER = {
    "name": "data.key",
    "in": "query",
    "required": False,
    "description": "`data.<key>=value` for any key: the instance's data, or that of one of its"
    " records, has this value there. `5`, `true` and `null` also match what they say in JSON.",
    "schema": {"type": "string"},
    "example": "EU",
}

_EVERYWHERE = ("unauthenticated", "forbidden", "invalid_data", "internal", "unavailable")


def problems(*codes: str, everywhere: bool = True) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can refuse with these codes.

    Args:
        codes: Beside those that every route of `/v1` can answer with.
        everywhere: Whether it is one of these routes.
    """
    by_status: dict[int | str, list[str]] = {}
    for code in dict.fromkeys((*codes, *(_EVERYWHERE if everywhere else ()))):
        by_status.setdefault(CODES[code].status, []).append(code)
    return {
        status: {
            "description": " · ".join(f"`{code}`: {CODES[code].meaning}" for code in named),
            "model": ProblemBody,
            "content": {MEDIA_TYPE: {"example": _example(named[0])}},
        }
        for status, named in sorted(by_status.items(), key=lambda entry: int(entry[0]))
    }


def _example(code: str) -> dict[str, object]:
    return {
        "type": f"/problems/{code}",
        "title": CODES[code].title,
        "status": CODES[code].status,
        "detail": CODES[code].meaning,
        "code": code,
    }


REPLAYED = {
    "headers": {
        "Idempotency-Replayed": {
            "description": "`true` where this is the first answer to the same key, again.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
}


RETRY = {
    "headers": {
        "Retry-After": {
            "description": "Seconds until it makes sense to try again.",
            "schema": {"type": "integer"},
        }
    }
}
_RETRIED = ("429", "503")


def idempotent(extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """The `openapi_extra` of a route that honours an Idempotency-Key."""
    return {"parameters": [IDEMPOTENCY_HEADER], **(extra or {})}


def document(app: FastAPI) -> dict[str, Any]:
    """The finished document, made once per application."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(
        title="Nexus",
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
    )
    components = schema.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "HS256; `exp`, `sub` and `tenant` are demanded, `roles` is a list.",
        }
    }
    for path, operation in _operations(schema):
        if operation.pop("x-data-filters", False):
            operation["parameters"].append(DATA_PARAMETER)
        if path.startswith("/v1/"):
            operation["security"] = [{"bearer": []}]
        if "401" in operation["responses"]:
            operation["parameters"] = [*operation.get("parameters", ()), *ACTOR_HEADERS]
        keyed = IDEMPOTENCY_HEADER in operation.get("parameters", ())
        for status, response in operation["responses"].items():
            if keyed and status.startswith("2"):
                response.update(REPLAYED)
            if status in _RETRIED:
                response.update(RETRY)
        _only_problems(operation)
    for name, example in EXAMPLES.items():
        components["schemas"][name]["example"] = example
    # FastAPI's own error shapes, which no route of ours answers with.
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    app.openapi_schema = schema
    return schema


def _operations(schema: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            yield path, operation


def _only_problems(operation: dict[str, Any]) -> None:
    """Errors have one media type; FastAPI lists `application/json` for every model."""
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        if not status.isdigit() or int(status) < 400:
            continue
        plain = content.pop("application/json", {})
        content.setdefault(MEDIA_TYPE, {})
        content[MEDIA_TYPE].setdefault("schema", plain.get("schema", {}))
