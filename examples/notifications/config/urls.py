from django.urls import path
from django.views.generic import RedirectView
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from notices.views import Logout, NotificationList

urlpatterns = [
    path("", RedirectView.as_view(url="/page/")),
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/token/refresh/", TokenRefreshView.as_view()),
    path("api/notifications/", NotificationList.as_view()),
    path("api/logout/", Logout.as_view()),
]
