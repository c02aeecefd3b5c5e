from direct.settings import *  # noqa: F403

WSGI_APPLICATION = "direct.after.wsgi.application"
ROOT_URLCONF = "direct.after.urls"
