"""What this project says to the gateway."""

import logging

import requests
from django.conf import settings

log = logging.getLogger(__name__)


def notify(notification: dict, user_id: int) -> None:
    """To all browsers of the user, now or when they come back.

    The key makes it safe to call this again for the same notification, from a retried task for example.
    """
    post(
        "",
        {
            "group": f"user_{user_id}",
            "event": {"type": "notification", "notification": notification},
            "idempotency_key": f"notification-{notification['id']}",
        },
    )


def disconnect(user_id: int, reason: str) -> None:
    """Closes the user's sockets, with code 4403."""
    post("disconnect", {"user": str(user_id), "reason": reason})


def post(path: str, body: dict) -> None:
    # A notification is in the database by now: a gateway that is away is no reason to fail the request.
    try:
        answer = requests.post(
            settings.PUBLISH_URL + path,
            json=body,
            headers={"Authorization": f"Bearer {settings.PUBLISH_TOKEN}"},
            timeout=5,
        )
        answer.raise_for_status()
    except requests.RequestException:
        log.exception("the gateway did not take %s", body)
