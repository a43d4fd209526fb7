"""Settings of the project, for trying it out on one machine."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "for trying it out, and for nothing else")
DEBUG = os.environ.get("DJANGO_DEBUG", "") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]

# The app `nexus.local.django` tells dashboards which models there are.
INSTALLED_APPS = ["nexus.local.django", "shop"]

# None of these has cookies, so there is nothing for Django's CSRF protection to protect.
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "shop.middleware.AnswerRefusals",
    "shop.middleware.say_who_acts",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

# A request is one transaction: what it did to customers and products is kept as a whole, or not
# at all. With SQLite it says at once that it may write, and waits for its turn.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "shop.sqlite3",
        "ATOMIC_REQUESTS": True,
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Mails are files in a folder.
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = BASE_DIR / "mails"

USE_TZ = True
TIME_ZONE = "UTC"
