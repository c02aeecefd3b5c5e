"""A middleware as many projects have it: who a page is says the token of Simple JWT in its query."""

from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken


@database_sync_to_async
def user_of(token):
    try:
        return get_user_model().objects.get(pk=AccessToken(token)["user_id"], is_active=True)
    except (TokenError, KeyError, get_user_model().DoesNotExist):
        return AnonymousUser()


class TokenMiddleware:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        query = parse_qs(scope["query_string"].decode())
        user = await user_of(query.get("token", [""])[0])
        return await self.app({**scope, "user": user}, receive, send)
