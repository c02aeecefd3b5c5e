"""A chat from user to user. The group of a user is the bare id: `group_send("7", ...)` reaches user 7."""

from common_settings import *  # noqa: F403
from common_settings import INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS = [*INSTALLED_APPS, "direct"]
REST_FRAMEWORK = REST_FRAMEWORK | {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]
}
