"""Tokens that are signed with a secret."""

import time

import jwt


def signed(key: str | bytes, seconds: float = 600, **claims) -> str:
    """A token with these claims, which expires after the given time."""
    return jwt.encode({"exp": int(time.time() + seconds), **claims}, key, "HS256")


def simple_jwt(key: str | bytes, user: str, seconds: float = 600, **claims) -> str:
    """An access token as Simple JWT issues it."""
    return signed(key, seconds, user_id=user, token_type="access", iat=int(time.time()), **claims)
