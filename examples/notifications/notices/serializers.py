from django.contrib.auth import get_user_model
from rest_framework import serializers

from .models import Notification


class NotificationSerializer(serializers.ModelSerializer):
    """Whom it is for is said by name, and only when it is written."""

    to = serializers.SlugRelatedField(
        slug_field="username", source="user", queryset=get_user_model().objects.all(), write_only=True
    )

    class Meta:
        model = Notification
        fields = ["id", "to", "text", "created"]
