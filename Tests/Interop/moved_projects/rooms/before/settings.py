from rooms.settings import *  # noqa: F403
from rooms.settings import INSTALLED_APPS

INSTALLED_APPS = ["daphne", *INSTALLED_APPS]
ASGI_APPLICATION = "rooms.before.asgi.application"
ROOT_URLCONF = "rooms.urls"
