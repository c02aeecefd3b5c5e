from django.http import HttpResponse
from django.urls import path
from rest_framework_simplejwt.views import TokenObtainPairView

from taxi import views

urlpatterns = [
    path("healthz/", lambda request: HttpResponse()),
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/trips/", views.Trips.as_view()),
    path("api/trips/<uuid:pk>/cancel/", views.Cancel.as_view()),
    path("api/drivers/<str:name>/", views.Driver.as_view()),
]
