import json

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.apps import apps
from django.contrib.auth import authenticate, login
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt


def health(request):
    """For the tests: which database it has."""
    return HttpResponse(connection.vendor)


@csrf_exempt
def log_in(request):
    """For the tests: no form, and no token of a form."""
    login(request, authenticate(username=request.POST["username"], password="pw"))
    return HttpResponse(status=204)


def me(request):
    if not request.user.is_authenticated:
        return JsonResponse({"detail": "not logged in"}, status=401)
    return JsonResponse({"id": request.user.pk, "name": request.user.get_username()})


def rows(request, model):
    """For the tests: what is in the database."""
    return JsonResponse({"rows": list(apps.get_model(model).objects.order_by("pk").values())})


@csrf_exempt
def tell(request, group):
    """For the tests: any other part of the project, which sends to a group."""
    async_to_sync(get_channel_layer().group_send)(group, json.loads(request.body))
    return HttpResponse(status=204)


def page(request, name):
    return render(request, f"{name}.html")
