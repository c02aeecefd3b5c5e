from direct.settings import *  # noqa: F403
from direct.settings import INSTALLED_APPS

INSTALLED_APPS = ["daphne", *INSTALLED_APPS]
ASGI_APPLICATION = "direct.before.asgi.application"
ROOT_URLCONF = "direct.urls"
