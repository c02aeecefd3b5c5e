"""The taxi app of the well-known tutorials: riders ask for trips, and drivers take them."""

from common_settings import *  # noqa: F403
from common_settings import INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS = [*INSTALLED_APPS, "taxi"]
REST_FRAMEWORK = REST_FRAMEWORK | {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]
}
