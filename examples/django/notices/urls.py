from django.urls import path, re_path

from . import views

urlpatterns = [
    path("chat/", views.index, name="index"),
    re_path(r"^chat/(?P<room_name>[A-Za-z0-9_]{1,80})/$", views.room, name="room"),
    path("api/notices/", views.NoticeList.as_view(), name="notices"),
]
