from django.urls import path

from rooms.after.views import May, Messages
from rooms.urls import urlpatterns

urlpatterns = [
    path("api/rooms/<int:room>/may/", May.as_view()),
    path("api/rooms/<int:room>/messages/", Messages.as_view()),
    *urlpatterns,
]
