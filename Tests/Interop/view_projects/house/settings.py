"""One site with six apps. Daphne serves their consumers, gunicorn their views; everything else is the same."""

import os
import pathlib

from common_settings import *  # noqa: F403
from common_settings import DATABASES, INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS = [*INSTALLED_APPS, "house", "multichat", "cabs", "whiteboard", "rpc", "notices", "presence", "journal"]
if "POSTGRES" in os.environ:
    # The folder of its socket.
    DATABASES["default"] = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": os.environ["POSTGRES"]}
else:
    # Processes are killed here, and the machine is not: what was written is there without waiting for the disk.
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA synchronous=OFF"
ROOT_URLCONF = "house.urls"
ASGI_APPLICATION = "house.asgi.application"
WSGI_APPLICATION = "house.wsgi.application"
# A test that changes them has them in a file, a line each, which new workers read.
SLUICE_SECRETS = ["the secret of the six apps, between the gateway and their views"]
if "SLUICE_SECRETS" in os.environ:
    SLUICE_SECRETS = pathlib.Path(os.environ["SLUICE_SECRETS"]).read_text().splitlines()
REST_FRAMEWORK = REST_FRAMEWORK | {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]
}
