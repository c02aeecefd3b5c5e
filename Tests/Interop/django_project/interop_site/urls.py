from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.urls import include, path
from rest_framework.decorators import api_view
from rest_framework.response import Response


@api_view(["POST"])
def push(request, alias):
    """Calls methods of the layer, as any view does: [[name, argument...], ...]."""
    layer = get_channel_layer(alias)
    for name, *arguments in request.data:
        async_to_sync(getattr(layer, name))(*arguments)
    return Response({"done": len(request.data)})


urlpatterns = [path("push/<slug:alias>/", push), path("", include("notices.urls"))]
