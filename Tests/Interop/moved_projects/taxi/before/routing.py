from django.urls import path

from taxi.before.consumers import TaxiConsumer

websocket_urlpatterns = [path("taxi/", TaxiConsumer.as_asgi())]
