"""A Django project that answers each message with itself: by a view that Sluice asks, and by a consumer."""

import os

SECRET_KEY = os.environ["SECRET_KEY"]
SLUICE_SECRETS = [SECRET_KEY]
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
INSTALLED_APPS = ["asked_site"]
ROOT_URLCONF = "asked_site.urls"
ASGI_APPLICATION = "asked_site.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
