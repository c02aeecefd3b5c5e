import datetime
import time

from django.contrib import auth
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import path
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework_simplejwt.tokens import AccessToken
from rest_framework_simplejwt.views import TokenObtainPairView

seen = []


@api_view(["GET"])
def me(request):
    """What a call-back asks: whoever DRF's authentication classes say it is."""
    seen.append({name: request.headers.get(name) for name in ["Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Api-Key"]})
    return Response({"id": request.user.pk, "username": request.user.username, "staff": request.user.is_staff})


@api_view(["GET"])
@permission_classes([AllowAny])
def asked(request):
    """How often, and with what, the call-back was asked."""
    return Response(seen)


@api_view(["GET"])
def short(request):
    """An access token that lives for some seconds."""
    token = AccessToken.for_user(request.user)
    token.set_exp(lifetime=datetime.timedelta(seconds=float(request.query_params["seconds"])))
    return Response({"access": str(token)})


def login(request):
    user = auth.authenticate(request, username=request.GET["name"], password=request.GET["name"])
    auth.login(request, user)
    return JsonResponse({})


def logout(request):
    auth.logout(request)
    return JsonResponse({})


def slow(request):
    time.sleep(1)
    return JsonResponse({"id": 1})


urlpatterns = [
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/short/", short),
    path("api/me/", me),
    path("asked/", asked),
    path("login/", login),
    path("logout/", logout),
    path("odd/slow/", slow),
    path("odd/redirect/", lambda request: HttpResponseRedirect("/login/")),
    path("odd/list/", lambda request: JsonResponse([1], safe=False)),
    path("odd/page/", lambda request: HttpResponse("<p>hello")),
    path("odd/nameless/", lambda request: JsonResponse({"name": "x"})),
    path("odd/failing/", lambda request: HttpResponse(status=500)),
    path("odd/long/", lambda request: JsonResponse({"id": 1, "x": "x" * 20000})),
]
