import time
from datetime import timedelta

from django.contrib import auth
from django.contrib.auth.decorators import login_required
from django.contrib.sessions.models import Session
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import path
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.authtoken.models import Token
from rest_framework.decorators import api_view
from rest_framework.generics import get_object_or_404
from rest_framework.response import Response
from rest_framework_simplejwt.tokens import AccessToken

from members_site.models import Membership, Room

seen = []


def noted(view):
    """Remembers what a view was asked with."""

    def asked(request, *args, **kwargs):
        seen.append({"path": request.get_full_path(), "method": request.method, **dict(request.headers)})
        return view(request, *args, **kwargs)

    return asked


def profile(user) -> dict:
    """What a view, or a token with claims of its own, says of a user."""
    return {"email": user.email, "rooms": list(Membership.objects.filter(user=user).values_list("room", flat=True))}


@noted
@api_view(["GET"])
def me(request):
    """Who: whoever one of DRF's authentication classes says it is."""
    return Response({"id": request.user.pk, "name": request.user.username, **profile(request.user)})


@noted
@api_view(["GET"])
def me_in_room(request, room):
    """Who and whether in one question."""
    get_object_or_404(Room, pk=room)
    member = Membership.objects.filter(room=room, user=request.user).first()
    if member is None:
        return Response({"detail": "you are no member"}, status=403)
    return Response({"id": request.user.pk, "role": member.role})


@noted
def may(request, room):
    """Whether: the user is known already, and Sluice says who it is."""
    if not Room.objects.filter(pk=room).exists():
        return JsonResponse({"detail": "there is no such room"}, status=404)
    member = Membership.objects.filter(room=room, user=request.headers["X-Sluice-User"]).first()
    if member is None:
        return JsonResponse({"detail": "you are no member"}, status=403)
    return JsonResponse({"role": member.role}) if member.role != "member" else HttpResponse(status=204)


@noted
def slow(request):
    time.sleep(1)
    return JsonResponse({"id": 1})


@noted
def busy(request):
    return HttpResponse(status=429, headers={"Retry-After": "7"})


@noted
def anything(request, rest):
    return JsonResponse({"id": 1})


def asked(request):
    return JsonResponse(seen, safe=False)


def tokens(request):
    """One token of each kind for a user, and a session. All but Token's end after so many `seconds`."""
    user = auth.get_user_model().objects.get(username=request.GET["name"])
    life = timedelta(seconds=int(request.GET.get("seconds", 600)))
    access = AccessToken.for_user(user)
    access.set_exp(lifetime=life)
    access.payload.update(profile(user))
    auth.login(request, user)
    request.session.set_expiry(timezone.now() + life)
    request.session.save()
    return JsonResponse(
        {
            "Token": Token.objects.get_or_create(user=user)[0].key,
            "Knox": AuthToken.objects.create(user, expiry=life)[1],
            "Bearer": str(access),
            "site": request.session.session_key,
        }
    )


def revoke(request):
    """What a view for logging out does, everywhere: there is nothing that it could do to an access token of Simple JWT."""
    user = auth.get_user_model().objects.get(username=request.GET["name"])
    Token.objects.filter(user=user).delete()
    AuthToken.objects.filter(user=user).delete()
    for session in Session.objects.all():
        if session.get_decoded().get(auth.SESSION_KEY) == str(user.pk):
            session.delete()
    return JsonResponse({})


def log_in(request):
    auth.login(request, auth.get_user_model().objects.get(username=request.GET["name"]))
    return JsonResponse({})


def log_out(request):
    auth.logout(request)
    return JsonResponse({})


def change(request):
    """Makes somebody a member with a role, or takes the membership away."""
    name, room, role = (request.GET.get(key) for key in ["name", "room", "role"])
    user = auth.get_user_model().objects.get(username=name)
    Membership.objects.filter(user=user, room=room).delete()
    if role:
        Membership.objects.create(user=user, room_id=room, role=role)
    return JsonResponse({})


def delete_user(request):
    auth.get_user_model().objects.get(username=request.GET["name"]).delete()
    return JsonResponse({})


def form(request):
    return HttpResponse('<form><input name="csrfmiddlewaretoken"><input type="password"></form>')


urlpatterns = [
    path("api/me/", me),
    path("api/rooms/<int:room>/me/", me_in_room),
    path("api/rooms/<int:room>/may/", may),
    path("api/any/<path:rest>", anything),
    path("asked/", asked),
    path("tokens/", tokens),
    path("revoke/", revoke),
    path("in/", log_in),
    path("out/", log_out),
    path("change/", change),
    path("delete/", delete_user),
    path("accounts/login/", form),
    path("odd/slow/", slow),
    path("odd/busy/", busy),
    path("odd/login/", login_required(me)),
    path("odd/form/", form),
    path("odd/created/", lambda request: HttpResponse(status=201)),
    path("odd/nothing/", lambda request: HttpResponse(status=204)),
    path("odd/secure/", lambda request: HttpResponseRedirect(f"https://{request.get_host()}/odd/secure/")),
    path("odd/other/", lambda request: JsonResponse({"user": "somebody else"})),
    path("odd/csrf/", lambda request: HttpResponse("<p>CSRF verification failed. Request aborted.</p>", status=403)),
]
