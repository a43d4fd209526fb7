"""JSON over customers and products."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from nexus.local import HistoryEntry, Record
from nexus.sales_marketing import SmDashboard
from shop.middleware import user_of
from shop.models import Customer, Product


def body_of(request: HttpRequest, *known: str) -> dict[str, Any]:
    """The object that a request brings.

    Raises:
        BadRequest: It brings none, or one with other keys than are known.
    """
    try:
        body = json.loads(request.body)
    except ValueError:
        raise BadRequest("The body is no JSON.") from None
    if not isinstance(body, dict):
        raise BadRequest("The body is no object.")
    for name in body:
        if known and name not in known:
            raise BadRequest(f"{name!r} is none of {', '.join(known)}.")
    return body


def shown(record: Record) -> dict[str, Any]:
    """A contact, a campaign."""
    return {"id": record.id, "stage": record.stage, "data": record.data}


def shown_entry(entry: HistoryEntry) -> dict[str, Any]:
    """One thing that happened."""
    return {
        "at": entry.at,
        "actor": entry.actor,
        "event": entry.event,
        "record": entry.record,
        "before": entry.before,
        "after": entry.after,
        "comment": entry.comment,
    }


# --- customers and their contacts -----------------------------------------------------------


def shown_customer(customer: Customer) -> dict[str, Any]:
    """A customer without the column: that is read through `crm()`."""
    return {"id": customer.pk, "name": customer.name}


@require_http_methods(["GET", "POST"])
def customers(request: HttpRequest) -> JsonResponse:
    """All customers, or a new one."""
    if request.method == "POST":
        name = str(body_of(request, "name").get("name", ""))
        return JsonResponse(shown_customer(Customer.objects.create(name=name)), status=201)
    return JsonResponse(list(map(shown_customer, Customer.objects.all())), safe=False)


@require_http_methods(["GET", "POST"])
def contacts(request: HttpRequest, customer: int) -> JsonResponse:
    """The contacts at a customer, or a new one."""
    crm = get_object_or_404(Customer, pk=customer).crm()
    if request.method == "POST":
        return JsonResponse(shown(crm.add_contact(body_of(request))), status=201)
    return JsonResponse(list(map(shown, crm.records("contact"))), safe=False)


@require_POST
def edit_contact(request: HttpRequest, customer: int, contact: str) -> JsonResponse:
    """Change a contact."""
    crm = get_object_or_404(Customer, pk=customer).crm()
    edited = crm.act("edit", contact, body_of(request))
    assert edited is not None  # it is about this contact
    return JsonResponse(shown(edited))


@require_GET
def customer_history(_: HttpRequest, customer: int) -> JsonResponse:
    """All that happened to the contacts of a customer."""
    entries = get_object_or_404(Customer, pk=customer).crm().history()
    return JsonResponse(list(map(shown_entry, entries)), safe=False)


# --- products and their campaigns -----------------------------------------------------------


def shown_product(product: Product) -> dict[str, Any]:
    """A product without the column: that is read through `sm()`."""
    return {"id": product.pk, "name": product.name, "on_sale": product.on_sale}


@require_http_methods(["GET", "POST"])
def products(request: HttpRequest) -> JsonResponse:
    """All products, or a new one."""
    if request.method == "POST":
        body = body_of(request, "name", "on_sale")
        product = Product(name=str(body.get("name", "")), on_sale=bool(body.get("on_sale", True)))
        product.save()
        return JsonResponse(shown_product(product), status=201)
    return JsonResponse(list(map(shown_product, Product.objects.all())), safe=False)


@require_http_methods(["GET", "POST"])
def campaigns(request: HttpRequest, product: int) -> JsonResponse:
    """The campaigns of a product, or a new one."""
    sm = get_object_or_404(Product, pk=product).sm()
    if request.method == "POST":
        return JsonResponse(shown(sm.launch_campaign(body_of(request))), status=201)
    return JsonResponse(list(map(shown, sm.records("campaign"))), safe=False)


@require_POST
def act_on_campaign(request: HttpRequest, product: int, campaign: str, action: str) -> JsonResponse:
    """Take an action: `submit`, `approve`, `reject`, `stop`, `update`, `comment`."""
    body = body_of(request, "data", "comment")
    sm = get_object_or_404(Product, pk=product).sm()
    acted_on = sm.act(action, campaign, body.get("data"), body.get("comment"))
    assert acted_on is not None  # it is about this campaign
    return JsonResponse(shown(acted_on))


@require_GET
def can_act_on_campaign(_: HttpRequest, product: int, campaign: str, action: str) -> JsonResponse:
    """Whether it could be taken now, and why not."""
    told = get_object_or_404(Product, pk=product).sm().why(action, campaign)
    return JsonResponse({"allowed": told.allowed, "code": told.code, "message": told.message})


@require_GET
def product_history(_: HttpRequest, product: int) -> JsonResponse:
    """All that happened to the campaigns of a product."""
    entries = get_object_or_404(Product, pk=product).sm().history()
    return JsonResponse(list(map(shown_entry, entries)), safe=False)


# --- what there is to do --------------------------------------------------------------------


@require_GET
def dashboard(request: HttpRequest) -> JsonResponse:
    """The campaigns that wait for whoever asks, the oldest first."""
    user, roles = user_of(request)
    if user is None:
        raise BadRequest("X-User has to say whose dashboard it is.")
    rows = SmDashboard.for_user(user, roles).pending()
    found = [
        {"product": int(row.subject.id), "campaign": row.record, "stage": row.stage}
        for row in rows.filter(subject_type="product").sort("since")
    ]
    return JsonResponse(found, safe=False)
