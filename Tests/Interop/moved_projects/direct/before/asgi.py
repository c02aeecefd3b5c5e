from django.core.asgi import get_asgi_application

django = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402

from direct.before.routing import websocket_urlpatterns  # noqa: E402
from tokens import TokenMiddleware  # noqa: E402

application = ProtocolTypeRouter(
    {"http": django, "websocket": AllowedHostsOriginValidator(TokenMiddleware(URLRouter(websocket_urlpatterns)))}
)
