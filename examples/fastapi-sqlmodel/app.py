"""An API over accounts and their leads.

uvicorn app:app --port 8001
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from models import Account
from pydantic import BaseModel, ConfigDict
from sqlmodel import Session, SQLModel, create_engine, select

import nexus
from nexus.local import ConfigurationError, HistoryEntry, Permission, Record

engine = create_engine(os.environ.get("DATABASE_URL", "sqlite:///accounts.db"))


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Make the table; a real application has migrations."""
    SQLModel.metadata.create_all(engine)
    yield


async def acting(
    x_user: Annotated[str | None, Header()] = None, x_roles: Annotated[str, Header()] = ""
) -> AsyncIterator[None]:
    """Have the user of a request act in all that it does.

    Here whoever calls is believed; a real application takes user and roles from its own login.
    It is `async` on purpose: FastAPI runs other functions in threads of their own, where it
    would be said to nobody.
    """
    with ExitStack() as stack:
        if x_user is not None:
            roles = [role.strip() for role in x_roles.split(",") if role.strip()]
            try:
                stack.enter_context(nexus.acting(x_user, roles))
            except ConfigurationError as error:
                raise HTTPException(400, str(error)) from None
        yield


def request_session() -> Iterator[Session]:
    """The session of one request, and its transaction: kept if all went well, else undone."""
    with Session(engine) as session, session.begin():
        yield session


# Of "function", so that the transaction is over before the answer leaves.
InSession = Annotated[Session, Depends(request_session, scope="function")]


def account_of(id: int, session: InSession) -> Account:  # noqa: A002 - the path's name
    """The account that a path names."""
    account = session.get(Account, id)
    if account is None:
        raise HTTPException(404, f"There is no account {id}.")
    return account


OfPath = Annotated[Account, Depends(account_of, scope="function")]

app = FastAPI(title="Accounts", lifespan=lifespan, dependencies=[Depends(acting)])

STATUSES = {"forbidden": 403, "not_found": 404, "invalid_data": 422, "ambiguous": 422}


@app.exception_handler(nexus.Rejected)
def refused(_: Request, refusal: nexus.Rejected) -> JSONResponse:
    """What is refused, whatever it is, becomes an answer here. Nothing has changed then."""
    body = {"code": refusal.code, "message": refusal.message, "details": refusal.details}
    return JSONResponse(body, STATUSES.get(refusal.code, 409))


# --- what comes in, and what goes out -------------------------------------------------------


class NewAccount(BaseModel):
    """What an account is made of."""

    model_config = ConfigDict(extra="forbid")
    name: str


class ToDo(BaseModel):
    """What comes with an action."""

    model_config = ConfigDict(extra="forbid")
    record: str | None = None
    data: dict[str, Any] = {}
    comment: str | None = None


class ShownAccount(BaseModel):
    """An account without its column: what that holds is read through `crm()`."""

    id: int
    name: str
    revenue: float


class ShownRecord(BaseModel):
    """A lead, an opportunity."""

    id: str
    entity: str
    stage: str | None
    is_open: bool
    data: dict[str, Any]


class ShownCrm(BaseModel):
    """How the CRM of an account stands."""

    status: str
    records: list[ShownRecord]


class ShownPermission(BaseModel):
    """Whether an action could be taken."""

    allowed: bool
    code: str | None
    message: str
    why: list[dict[str, Any]]


class ShownEntry(BaseModel):
    """One thing that happened."""

    seq: int
    at: datetime
    event: str
    actor: str
    record: str | None
    before: Any
    after: Any
    comment: str | None


# --- accounts -------------------------------------------------------------------------------


@app.post("/accounts", status_code=201, response_model=ShownAccount)
def create_account(new: NewAccount, session: InSession) -> Account:
    """Create an account."""
    account = Account(name=new.name)
    session.add(account)
    session.flush()
    return account


@app.get("/accounts", response_model=list[ShownAccount])
def list_accounts(session: InSession) -> Sequence[Account]:
    """All accounts."""
    return session.exec(select(Account)).all()


@app.get("/accounts/{id}", response_model=ShownAccount)
def get_account(account: OfPath) -> Account:
    """One account."""
    return account


# --- their CRM ------------------------------------------------------------------------------


@app.get("/accounts/{id}/crm", response_model=ShownCrm)
def get_crm(account: OfPath) -> dict[str, Any]:
    """Its leads and opportunities."""
    crm = account.crm()
    return {"status": crm.status, "records": crm.records()}


@app.post("/accounts/{id}/leads", status_code=201, response_model=ShownRecord)
def add_lead(account: OfPath, lead: dict[str, Any]) -> Record:
    """Add a lead; its fields are checked by the definition."""
    return account.crm().add("lead", lead)


@app.post("/accounts/{id}/actions/{action}", response_model=ShownRecord | None)
def act(account: OfPath, action: str, todo: ToDo) -> Record | None:
    """Take an action: `qualify`, `win`, `lose`, `pay`, `update`, `comment`, …"""
    return account.crm().act(action, todo.record, todo.data, todo.comment)


@app.get("/accounts/{id}/can/{action}", response_model=ShownPermission)
def can(account: OfPath, action: str, record: str | None = None) -> Permission:
    """Whether the action could be taken now, and why or why not."""
    return account.crm().why(action, record)


@app.get("/accounts/{id}/history", response_model=list[ShownEntry])
def history(account: OfPath) -> list[HistoryEntry]:
    """All that happened, the oldest first."""
    return account.crm().history()
