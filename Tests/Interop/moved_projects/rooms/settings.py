"""A chat whose rooms have members in the database, and whose users log in with a session."""

from common_settings import *  # noqa: F403
from common_settings import INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS = [*INSTALLED_APPS, "rooms"]
REST_FRAMEWORK = REST_FRAMEWORK | {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"]
}
LOGIN_REDIRECT_URL = "/api/me/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
