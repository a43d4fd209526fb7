"""Mails that were caught instead of delivered: for development."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.listing import Limit
from api.openapi import problems
from api.present import json_response, page
from api.problems import Problem
from api.routing import CallerOf, NexusRoute, ServicesOf
from api.schemas import Mail, MailEntry, Page
from api.services import Services
from nexus.channels.mail_catcher import CaughtMail, MailDetail, list_mails, mail_source, read_mail

router = APIRouter(prefix="/v1/mails", route_class=NexusRoute, tags=["mails"])

MailId = Annotated[str, Path(description="Id of a mail", max_length=100)]


@router.get(
    "",
    summary="List caught mails",
    response_model=Page[MailEntry],
    responses=problems("forbidden", "not_found"),
)
async def list_caught(
    caller: CallerOf,
    services: ServicesOf,
    to: Annotated[
        str | None, Query(min_length=1, max_length=320, description="An address of a recipient.")
    ] = None,
    limit: Limit = 50,
    cursor: Annotated[
        str | None, Query(max_length=100, description="`next` of the page before.")
    ] = None,
) -> Response:
    """Mails that the mail catcher has, the newest first, whichever tenant sent them.

    There are some where `nexus dev` runs, or `NEXUS_MAIL_FOLDER` names a folder. Needs the role
    `admin`.
    """
    caller.require_admin("Reading caught mails")
    folder = _folder(services)
    found = await to_thread.run_sync(lambda: _page(folder, to, limit + 1, cursor))
    following = found[limit - 1].id if len(found) > limit else None
    return json_response(page([_entry(mail) for mail in found[:limit]], following))


@router.get(
    "/{mail}",
    summary="Read a caught mail",
    response_model=Mail,
    responses=problems("forbidden", "not_found"),
)
async def read_caught(mail: MailId, caller: CallerOf, services: ServicesOf) -> Response:
    """A mail with its headers, its text and its HTML."""
    caller.require_admin("Reading caught mails")
    found = await to_thread.run_sync(read_mail, _folder(services), mail)
    if found is None:
        raise _unknown(mail)
    return json_response(_detail(found))


@router.get(
    "/{mail}/source",
    summary="Read a caught mail byte for byte",
    response_class=Response,
    responses={
        200: {"description": "The mail as it came.", "content": {"message/rfc822": {}}},
        **problems("forbidden", "not_found"),
    },
)
async def read_source(mail: MailId, caller: CallerOf, services: ServicesOf) -> Response:
    """What a mail program would open."""
    caller.require_admin("Reading caught mails")
    found = await to_thread.run_sync(mail_source, _folder(services), mail)
    if found is None:
        raise _unknown(mail)
    return Response(found, media_type="message/rfc822")


def _folder(services: Services) -> FilePath:
    folder = services.settings.mail_folder
    if folder is None:
        raise Problem(
            "not_found",
            "No mails are caught here: NEXUS_MAIL_FOLDER names no folder of a mail catcher.",
        )
    return folder


def _page(folder: FilePath, to: str | None, limit: int, before: str | None) -> list[CaughtMail]:
    if to is None:
        return list_mails(folder, limit=limit, before=before)
    found: list[CaughtMail] = []
    while len(found) < limit:
        some = list_mails(folder, limit=200, before=before)
        if not some:
            break
        found += [mail for mail in some if to in mail.recipients]
        before = some[-1].id
    return found[:limit]


def _entry(mail: CaughtMail) -> dict[str, object]:
    return {
        "id": mail.id,
        "received_at": mail.received_at,
        "from": mail.sender,
        "to": list(mail.recipients),
        "subject": mail.subject,
        "message_id": mail.message_id,
        "times": mail.times,
    }


def _detail(found: MailDetail) -> dict[str, object]:
    return {
        **_entry(found.mail),
        "headers": [{"name": name, "value": value} for name, value in found.headers],
        "text": found.text,
        "html": found.html,
        "attachments": list(found.attachments),
    }


def _unknown(mail: str) -> Problem:
    return Problem("not_found", f"No mail {mail!r} was caught.")
