from django.core.asgi import get_asgi_application

django = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.urls import path  # noqa: E402

from cabs.consumers import TaxiConsumer  # noqa: E402
from multichat.consumers import ChatConsumer  # noqa: E402
from notices.consumers import NoticeConsumer  # noqa: E402
from presence.consumers import PresenceConsumer  # noqa: E402
from rpc.consumers import RPCConsumer  # noqa: E402
from tokens import TokenMiddleware  # noqa: E402
from whiteboard.consumers import BoardConsumer  # noqa: E402

sockets = AuthMiddlewareStack(
    URLRouter(
        [
            path("ws/chat/", ChatConsumer.as_asgi()),
            path("ws/taxi/", TokenMiddleware(TaxiConsumer.as_asgi())),
            path("ws/board/<int:board>/", BoardConsumer.as_asgi()),
            path("ws/rpc/", RPCConsumer.as_asgi()),
            path("ws/notices/", NoticeConsumer.as_asgi()),
            path("ws/presence/<slug:room>/", PresenceConsumer.as_asgi()),
        ]
    )
)
application = ProtocolTypeRouter({"http": django, "websocket": AllowedHostsOriginValidator(sockets)})
