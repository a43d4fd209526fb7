"""Addresses of the shop."""

from django.urls import path

from shop import views

CAMPAIGN = "products/<int:product>/campaigns/<str:campaign>"

urlpatterns = [
    path("customers", views.customers),
    path("customers/<int:customer>/contacts", views.contacts),
    path("customers/<int:customer>/contacts/<str:contact>", views.edit_contact),
    path("customers/<int:customer>/history", views.customer_history),
    path("products", views.products),
    path("products/<int:product>/campaigns", views.campaigns),
    path(f"{CAMPAIGN}/<str:action>", views.act_on_campaign),
    path(f"{CAMPAIGN}/can/<str:action>", views.can_act_on_campaign),
    path("products/<int:product>/history", views.product_history),
    path("dashboard", views.dashboard),
]
