from django.urls import path

from rooms.before.consumers import RoomConsumer, TypingConsumer

websocket_urlpatterns = [
    path("ws/rooms/<int:room>/", RoomConsumer.as_asgi()),
    path("ws/rooms/<int:room>/typing/", TypingConsumer.as_asgi()),
]
