"""The kinds of model that there are, each made, saved and read again as its users would."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import new_class
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy import orm
from sqlalchemy.engine import make_url
from sqlmodel import Field, SQLModel

from nexus.crm import HasCrm
from nexus.sales_marketing import HasSalesMarketing

Definition = Mapping[str, Any]
_numbers = itertools.count(1)


class Home(ABC):
    """One kind of model, with a database where it has one."""

    persistent = True

    @abstractmethod
    def model(self, crm: Definition, sm: Definition | None = None) -> type[Any]:
        """A class `User` with a CRM, and with sales and marketing where it is given one."""

    @abstractmethod
    def new(self, cls: type[Any]) -> Any:
        """An object of it, saved and committed."""

    @abstractmethod
    def commit(self) -> None:
        """What was done is kept."""

    @abstractmethod
    def again(self, model: Any) -> Any:
        """The same as another process would read it."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the database."""


def _bases(sm: Definition | None) -> tuple[type, ...]:
    return (HasCrm,) if sm is None else (HasCrm, HasSalesMarketing)


def _namespace(crm: Definition, sm: Definition | None) -> dict[str, Any]:
    own: dict[str, Any] = {"crm": lambda self: crm, "__module__": __name__}
    return own if sm is None else {**own, "sm": lambda self: sm}


class PlainHome(Home):
    """A class like any other."""

    persistent = False

    def model(self, crm: Definition, sm: Definition | None = None) -> type[Any]:
        return type("User", _bases(sm), {**_namespace(crm, sm), "id": 1})

    def new(self, cls: type[Any]) -> Any:
        return cls()

    def commit(self) -> None:
        pass

    def again(self, model: Any) -> Any:
        return model

    def close(self) -> None:
        pass


class DataclassHome(PlainHome):
    """A dataclass."""

    def model(self, crm: Definition, sm: Definition | None = None) -> type[Any]:
        own = {**_namespace(crm, sm), "__annotations__": {"id": int}, "id": 1}
        return dataclass(type("User", _bases(sm), own))


class PydanticHome(PlainHome):
    """A pydantic model, written as JSON and read again."""

    def model(self, crm: Definition, sm: Definition | None = None) -> type[Any]:
        own = {**_namespace(crm, sm), "__annotations__": {"id": int}, "id": 1}
        return type("User", (*_bases(sm), BaseModel), own)

    def again(self, model: Any) -> Any:
        return type(model).model_validate_json(model.model_dump_json())


class SqlAlchemyHome(Home):
    """A declarative class of SQLAlchemy."""

    def __init__(self, url: str) -> None:
        self.engine = sa.create_engine(url)
        self.session = orm.Session(self.engine)
        self._others: list[orm.Session] = []

    def model(self, crm: Definition, sm: Definition | None = None) -> type[Any]:
        base = type("Base", (orm.DeclarativeBase,), {})
        own = {
            **_namespace(crm, sm),
            "__tablename__": f"users_{next(_numbers)}",
            "__annotations__": {"id": orm.Mapped[int], "name": orm.Mapped[str]},
            "id": orm.mapped_column(primary_key=True),
            "name": orm.mapped_column(default="ann"),
        }
        cls = type("User", (*_bases(sm), base), own)
        base.metadata.create_all(self.engine)  # type: ignore[attr-defined]
        return cls

    def new(self, cls: type[Any]) -> Any:
        model = cls()
        self.session.add(model)
        self.session.commit()
        return model

    def commit(self) -> None:
        self.session.commit()
        for other in self._others:
            other.commit()

    def again(self, model: Any) -> Any:
        other = orm.Session(self.engine)
        self._others.append(other)
        return other.get(type(model), model.id)

    def close(self) -> None:
        for session in (self.session, *self._others):
            session.close()
        self.engine.dispose()


class SqlModelHome(SqlAlchemyHome):
    """A table of SQLModel."""

    def model(self, crm: Definition, sm: Definition | None = None) -> type[Any]:
        own = {
            **_namespace(crm, sm),
            "__tablename__": f"users_{next(_numbers)}",
            "__annotations__": {"id": int | None, "name": str},
            "id": Field(default=None, primary_key=True),
            "name": "ann",
        }
        bases = (*_bases(sm), SQLModel)
        number = next(_numbers)  # classes of one name would be confused with each other
        cls = new_class(f"User{number}", bases, {"table": True}, lambda space: space.update(own))
        table: sa.Table = cls.__table__  # type: ignore[attr-defined]
        table.create(self.engine)
        return cls


class DjangoHome(Home):
    """A model of Django; its databases are told when a test wants them."""

    def __init__(self, url: str) -> None:
        from django.db import connections

        self.alias = f"database_{next(_numbers)}"
        connections.databases[self.alias] = connections.configure_settings(
            {"default": {}, self.alias: django_database(url)}
        )[self.alias]

    def model(self, crm: Definition, sm: Definition | None = None) -> type[Any]:
        from django.db import connections, models

        number = next(_numbers)
        meta = type("Meta", (), {"app_label": f"shop{number}", "db_table": f"users_{number}"})
        own = {
            **_namespace(crm, sm),
            "name": models.CharField(max_length=20, default="ann"),
            "Meta": meta,
        }
        cls = type("User", (*_bases(sm), models.Model), own)
        with connections[self.alias].schema_editor() as editor:
            editor.create_model(cls)
        return cls

    def new(self, cls: type[Any]) -> Any:
        model = cls()
        model.save(using=self.alias)
        return model

    def commit(self) -> None:
        pass  # Django commits each statement that stands in no transaction

    def again(self, model: Any) -> Any:
        return type(model)._base_manager.using(self.alias).get(pk=model.pk)

    def close(self) -> None:
        from django.db import connections

        connections[self.alias].close()
        del connections[self.alias]
        del connections.databases[self.alias]


def django_database(url: str) -> dict[str, Any]:
    """A database as Django's settings name it."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.database}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.database,
        "USER": parts.username or "",
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.host or str(parts.query.get("host", "")),
        "PORT": str(parts.port or parts.query.get("port", "")),
    }


WITHOUT_DATABASE: dict[str, type[PlainHome]] = {
    "plain": PlainHome,
    "dataclass": DataclassHome,
    "pydantic": PydanticHome,
}
WITH_DATABASE: dict[str, Callable[[str], Home]] = {
    "sqlalchemy": SqlAlchemyHome,
    "sqlmodel": SqlModelHome,
    "django": DjangoHome,
}


@contextmanager
def opened(home: Home) -> Iterator[Home]:
    """It, closed in the end."""
    try:
        yield home
    finally:
        home.close()
