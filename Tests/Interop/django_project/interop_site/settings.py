"""The example project, with the channel layers that a test names, and a server of consumers beside it."""

import json
import os

from config.settings import *  # noqa: F403
from config.settings import REST_FRAMEWORK

SECRET_KEY = "for tests only"
ROOT_URLCONF = "interop_site.urls"
WSGI_APPLICATION = "interop_site.wsgi.application"
CHANNEL_LAYERS = json.loads(os.environ["CHANNEL_LAYERS"])
REST_FRAMEWORK = REST_FRAMEWORK | {"DEFAULT_AUTHENTICATION_CLASSES": [], "DEFAULT_PERMISSION_CLASSES": []}
