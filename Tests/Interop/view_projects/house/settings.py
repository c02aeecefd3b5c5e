"""One site with six apps. Daphne serves their consumers, gunicorn their views; everything else is the same."""

from common_settings import *  # noqa: F403
from common_settings import INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS = [*INSTALLED_APPS, "house", "multichat", "cabs", "whiteboard", "rpc", "notices", "presence", "journal"]
ROOT_URLCONF = "house.urls"
ASGI_APPLICATION = "house.asgi.application"
WSGI_APPLICATION = "house.wsgi.application"
SLUICE_SECRETS = ["the secret of the six apps, between the gateway and their views"]
REST_FRAMEWORK = REST_FRAMEWORK | {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]
}
