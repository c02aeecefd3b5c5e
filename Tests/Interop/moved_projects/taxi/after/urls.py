from django.urls import path

from taxi.after.views import Groups, Messages
from taxi.urls import urlpatterns

urlpatterns = [*urlpatterns, path("api/socket/", Groups.as_view()), path("api/messages/", Messages.as_view())]
