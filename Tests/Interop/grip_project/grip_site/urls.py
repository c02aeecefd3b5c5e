from django.urls import path

from grip_site import sockets

urlpatterns = [
    path("healthz/", sockets.health),
    path("asked/", sockets.asked),
    path("shout/", sockets.shout),
    path("ws/<slug:room>/", sockets.room),
    path("rude/<slug:room>/", sockets.rude),
]
