from django.urls import path

from direct.after.views import Messages
from direct.urls import urlpatterns

urlpatterns = [*urlpatterns, path("api/messages/", Messages.as_view())]
