from django.urls import path

from direct.before.consumers import DirectConsumer

websocket_urlpatterns = [path("ws/chat/", DirectConsumer.as_asgi())]
