from django.http import HttpResponse
from django.urls import path
from rest_framework_simplejwt.views import TokenObtainPairView

from direct import views

urlpatterns = [
    path("healthz/", lambda request: HttpResponse()),
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/inbox/", views.Inbox.as_view()),
    path("api/inbox/<int:pk>/read/", views.Read.as_view()),
]
