from rooms.settings import *  # noqa: F403

WSGI_APPLICATION = "rooms.after.wsgi.application"
ROOT_URLCONF = "rooms.after.urls"
