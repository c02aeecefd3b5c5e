from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from rooms import api, views

urlpatterns = [
    path("accounts/login/", LoginView.as_view()),
    path("accounts/logout/", LogoutView.as_view()),
    path("api/me/", views.me),
    path("rooms/<slug:room>/", views.room),
    # Only Sluice can ask these: its questions are signed.
    path("ws/rooms/<slug:room>/", views.ChatSocket.as_view()),
    path("ws/rooms/<slug:room>/history/", api.HistorySocket.as_view()),
]
