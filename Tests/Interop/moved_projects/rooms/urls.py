from django.urls import include, path

from rooms import views

urlpatterns = [
    path("accounts/", include("rest_framework.urls")),
    path("api/me/", views.Me.as_view()),
    path("api/rooms/<int:room>/messages/", views.Messages.as_view()),
    path("api/rooms/<int:room>/members/<str:name>/", views.Member.as_view()),
]
