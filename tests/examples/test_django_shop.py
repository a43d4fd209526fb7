"""The Django project: its own commands and its server, each a process as in life."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.serving import SECRET
from tests.examples.conftest import Example, converse
from tests.promotion.conftest import Promotion

ANN = {"X-User": "ann", "X-Roles": "marketing"}
MAX = {"X-User": "max", "X-Roles": "manager"}
JOHN = {"name": "John", "email": "john@acme.example"}
SUMMER = {"name": "Summer", "channel": "web", "budget": 900}


@pytest.fixture
def client(django_example: Example) -> Iterator[httpx.Client]:
    """A client of the project, which runs as the README has it."""
    server = django_example.server(django_example.command("server"))
    with httpx.Client(base_url=django_example.url, timeout=60) as client:
        yield client
    server.stop()


def mails(example: Example) -> list[str]:
    """All that was sent."""
    return [path.read_text() for path in example.folder.glob("mails/*")]


def data_of(example: Example, table: str, column: str) -> Any:
    """What stands in the column of the only row."""
    with closing(sqlite3.connect(example.folder / "shop.sqlite3")) as database:
        ((value,),) = database.execute(f"SELECT {column} FROM {table}")
    return value if value is None else json.loads(value)


def test_the_readme_is_true(django_example: Example, client: httpx.Client) -> None:
    converse(django_example)
    said = django_example.succeeded(django_example.blocks("sh", "clocks")[0])
    assert [said] == django_example.blocks("text", "clocks")
    (sent,) = mails(django_example)
    assert "To: john@acme.example" in sent


def test_its_own_tests_pass(django_example: Example) -> None:
    done = django_example.ran(django_example.blocks("sh", "test")[0])
    assert done.returncode == 0, done.stderr
    assert "Ran 4 tests" in done.stderr


def test_migrations_are_as_the_models_are(django_example: Example) -> None:
    """The columns that the mixins add are Django's like any other."""
    said = django_example.succeeded("python manage.py makemigrations --check --dry-run")
    assert said.strip() == "No changes detected"
    django_example.succeeded("python manage.py check --fail-level WARNING")
    # Without its migrations the project has the same ones made.
    (written,) = django_example.folder.glob("shop/migrations/0*.py")
    before = written.read_text()
    written.unlink()
    django_example.succeeded("python manage.py makemigrations shop")
    made = written.read_text()
    for column in ("crm_data", "sm_data"):
        for text in (before, made):
            assert text.replace("'", '"').count(f'"{column}"') == 1


def test_a_table_that_was_there_before_gets_the_column(django_example: Example) -> None:
    """A mixin that is added later is one migration; rows that there are have no instance yet."""
    models = django_example.folder / "shop" / "models.py"
    now, migration = models.read_text(), django_example.folder / "shop/migrations/0001_initial.py"
    migration.unlink()
    models.write_text(
        now.replace("class Customer(HasCrm, models.Model)", "class Customer(models.Model)")
    )
    django_example.succeeded(
        "python manage.py makemigrations shop && python manage.py migrate && python manage.py "
        "shell -c \"from shop.models import *; Customer.objects.create(name='ACME')\""
    )
    assert "crm_data" not in migration.read_text()
    models.write_text(now)
    said = django_example.succeeded(
        "python manage.py makemigrations shop && python manage.py migrate"
    )
    assert "Add field crm_data to customer" in said
    assert data_of(django_example, "shop_customer", "crm_data") is None
    said = django_example.succeeded(
        'python manage.py shell -v 0 -c "from shop.models import *; '
        "print(Customer.objects.get().crm().add_contact({'name': 'John'}).id)\""
    )
    assert said.strip() == "contact-1"


def test_what_is_refused_becomes_an_answer(client: httpx.Client) -> None:
    client.post("/customers", json={"name": "ACME"})
    client.post("/products", json={"name": "Lamp", "on_sale": False})
    client.post("/products", json={"name": "Desk"})
    client.post("/products/2/campaigns", json=SUMMER, headers=ANN)
    refused = [
        (ANN, "/customers/1/contacts", {"nme": "John"}, 422, "invalid_data"),
        (ANN, "/customers/9/contacts", JOHN, 404, "not_found"),
        (ANN, "/products/1/campaigns", SUMMER, 409, "condition_not_met"),
        (ANN, "/products/2/campaigns/campaign-9/submit", {}, 404, "not_found"),
        (ANN, "/products/2/campaigns/campaign-1/stop", {}, 409, "wrong_stage"),
        ({}, "/products/2/campaigns/campaign-1/submit", {}, 403, "forbidden"),
        (ANN, "/products/2/campaigns/campaign-1/submit", [], 400, "bad_request"),
        ({"X-User": "system"}, "/customers", JOHN, 400, "bad_request"),
    ]
    before = client.get("/products/2/history").json()
    for who, path, body, status, code in refused:
        answer = client.post(path, json=body, headers=who)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.json()["message"]
    assert client.get("/customers/1/history").json() == []
    assert client.get("/products/1/history").json() == []
    assert client.get("/products/2/history").json() == before
    assert client.get("/dashboard").status_code == 400


FAILING = """


def add_and_fail(request, customer):
    get_object_or_404(Customer, pk=customer).crm().add_contact(body_of(request))
    Customer.objects.create(name="made beside it")
    raise LookupError("something that nobody expected")
"""


def test_a_request_that_fails_leaves_nothing(django_example: Example) -> None:
    """BR-002: no contact, no other row, and no mail about either."""
    views, urls = (django_example.folder / "shop" / name for name in ("views.py", "urls.py"))
    views.write_text(views.read_text() + FAILING)
    urls.write_text(
        urls.read_text()
        + 'urlpatterns.append(path("customers/<int:customer>/failing", views.add_and_fail))\n'
    )
    server = django_example.server(django_example.command("server"))
    with httpx.Client(base_url=django_example.url, timeout=60) as client:
        client.post("/customers", json={"name": "ACME"})
        assert client.post("/customers/1/failing", json=JOHN).status_code == 500
        assert client.get("/customers/1/contacts").json() == []
        assert data_of(django_example, "shop_customer", "crm_data") is None
        assert mails(django_example) == []
        assert client.post("/customers/1/contacts", json=JOHN).json()["id"] == "contact-1"
        assert client.post("/customers/1/failing", json=JOHN).status_code == 500
        assert len(client.get("/customers/1/contacts").json()) == 1
        assert len(client.get("/customers/1/history").json()) == 2
        assert len(mails(django_example)) == 1
        assert len(client.get("/customers").json()) == 1
    server.stop()


def test_requests_at_the_same_time_lose_nothing(
    django_example: Example, client: httpx.Client
) -> None:
    """REL-003: all of one customer's contacts, and a mail to each."""
    client.post("/customers", json={"name": "ACME"})

    def add(number: int) -> None:
        contact = {"name": f"contact {number}", "email": f"{number}@acme.example"}
        added = client.post("/customers/1/contacts", json=contact)
        assert added.status_code == 201, added.text

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(24)))
    kept = client.get("/customers/1/contacts").json()
    assert {contact["data"]["name"] for contact in kept} == {f"contact {n}" for n in range(24)}
    assert len({contact["id"] for contact in kept}) == 24
    sent = "".join(mails(django_example))
    assert {f"To: {number}@acme.example" in sent for number in range(24)} == {True}


TWO_WEEKS_AGO = """
import nexus
from datetime import UTC, datetime, timedelta
from shop.models import Product

nexus.configure(clock=lambda: datetime.now(UTC) - timedelta(days={days}))
product = Product.objects.create(name="Lamp")
with nexus.acting("max", ["manager", "marketing"]):
    product.sm().launch_campaign({{"name": "Summer", "channel": "web", "budget": 900}})
    product.sm().act("submit")
    product.sm().act("approve")
"""


def test_clocks_are_looked_at_by_a_command(django_example: Example) -> None:
    """FR-L3-006 without a platform: cron runs it, and only what is due is touched."""
    django_example.succeeded("python manage.py migrate")
    for days in (15, 13):
        script = TWO_WEEKS_AGO.format(days=days)
        django_example.succeeded(f"python manage.py shell -v 0 <<'END'\n{script}\nEND")
    command = django_example.blocks("sh", "clocks")[0]
    assert django_example.succeeded(command).startswith("Looked at 1: ")
    assert django_example.succeeded(command) == "Looked at 0: 0 things have happened.\n"
    said = django_example.succeeded(
        'python manage.py shell -v 0 -c "from shop.models import *; '
        'print([product.sm().state for product in Product.objects.all()])"'
    )
    assert said.strip() == "['over', 'running']"


def test_one_that_cannot_be_looked_at_is_told_of(django_example: Example) -> None:
    """The others are; and cron hears of it."""
    django_example.succeeded("python manage.py migrate")
    for days in (15, 15):
        script = TWO_WEEKS_AGO.format(days=days)
        django_example.succeeded(f"python manage.py shell -v 0 <<'END'\n{script}\nEND")
    with closing(sqlite3.connect(django_example.folder / "shop.sqlite3")) as database:
        database.execute(
            "UPDATE shop_product SET sm_data = json_set(sm_data, '$.kept', 'spoilt') WHERE id = 1"
        )
        database.commit()
    done = django_example.ran(django_example.blocks("sh", "clocks")[0])
    assert done.returncode == 1
    assert "Lamp (product 1): " in done.stderr
    assert "1 of 2 could not be looked at" in done.stderr
    said = django_example.succeeded(
        'python manage.py shell -v 0 -c "from shop.models import *; '
        'print(Product.objects.get(pk=2).sm().state)"'
    )
    assert said.strip() == "over"


# --- promoted ----------------------------------------------------------------------------------


def test_promoted_it_answers_the_same(
    django_example: Example, promotion: Promotion, tmp_path: Path
) -> None:
    """US-010: all that the README shows, on the platform."""
    django_example.succeeded("python manage.py migrate")
    replace = {"http://localhost:8000": promotion.platform.api.url, "acme": promotion.tenant}
    command = django_example.command("platform", replace)
    server = django_example.server(command, NEXUS_JWT_SECRET=SECRET)
    converse(django_example)
    server.stop()
    assert len(mails(django_example)) == 1  # hooks run here, wherever the contact is
    for table, column in (("shop_customer", "crm_data"), ("shop_product", "sm_data")):
        kept = json.loads(data_of(django_example, table, column)["kept"])
        assert kept["platform"]["url"] == promotion.platform.api.url
        assert kept["history"] == []
