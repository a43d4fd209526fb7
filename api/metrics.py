"""What the API counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "nexus_http_requests_total",
    "Requests answered, by route template, method and status.",
    ("route", "method", "status"),
)
LATENCY = Histogram(
    "nexus_http_request_seconds",
    "Seconds from the first byte in to the last byte out, by route template and method.",
    ("route", "method"),
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
UPDATES_IN_FLIGHT = Gauge(
    "nexus_updates_in_flight", "Commands that Temporal is working on for this process."
)
REPLAYED = Counter(
    "nexus_idempotent_replays_total", "Requests answered with an earlier answer to the same key."
)
INCIDENTS = Gauge(
    "nexus_incidents",
    "Incidents of all tenants that need somebody, by status and code.",
    ("status", "code"),
)
FOLDER_PROBLEMS = Gauge(
    "nexus_definitions_folder_broken_files", "Files of the definitions folder that do not compile."
)
