from django.urls import path
from rest_framework_simplejwt.views import TokenObtainPairView

from cabs.views import Invite, TaxiSocket
from constructs.views import ConstructSocket
from house import views
from journal.views import JournalSocket
from multichat.views import ChatSocket
from notices.views import NoticeSocket, create
from presence.views import PresenceSocket
from rpc.views import RPCSocket
from whiteboard.views import BoardSocket

urlpatterns = [
    path("healthz/", views.health),
    path("login/", views.log_in),
    path("api/me/", views.me),
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/rows/<str:model>/", views.rows),
    path("api/trips/<int:trip>/invite/", Invite.as_view()),
    path("api/notices/", create),
    path("api/group/<str:group>/", views.tell),
    path("pages/<slug:name>/", views.page),
    # What Sluice asks. Daphne has these too, and nobody asks it.
    path("ws/chat/", ChatSocket.as_view()),
    path("ws/taxi/", TaxiSocket.as_view()),
    path("ws/board/<int:board>/", BoardSocket.as_view()),
    path("ws/rpc/", RPCSocket.as_view()),
    path("ws/notices/", NoticeSocket.as_view()),
    path("ws/presence/<slug:room>/", PresenceSocket.as_view()),
    path("ws/constructs/", ConstructSocket.as_view()),
    path("ws/journal/<slug:room>/", JournalSocket.as_view()),
]
