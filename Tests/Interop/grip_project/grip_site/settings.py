"""A back end that speaks WebSockets by django-grip: it does not know which gateway is in front of it."""

import os

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.contenttypes"]
MIDDLEWARE = ["django_grip.GripMiddleware"]
ROOT_URLCONF = "grip_site.urls"
WSGI_APPLICATION = "grip_site.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
GRIP_URL = os.environ["GRIP_URL"]
