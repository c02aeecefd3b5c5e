from taxi.settings import *  # noqa: F403

WSGI_APPLICATION = "taxi.after.wsgi.application"
ROOT_URLCONF = "taxi.after.urls"
