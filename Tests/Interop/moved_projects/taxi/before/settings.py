from taxi.settings import *  # noqa: F403
from taxi.settings import INSTALLED_APPS

INSTALLED_APPS = ["daphne", *INSTALLED_APPS]
ASGI_APPLICATION = "taxi.before.asgi.application"
ROOT_URLCONF = "taxi.urls"
