from rest_framework import serializers

from taxi.models import Trip


class TripSerializer(serializers.ModelSerializer):
    rider = serializers.SlugRelatedField("username", read_only=True)
    driver = serializers.SlugRelatedField("username", read_only=True)

    class Meta:
        model = Trip
        fields = ["id", "rider", "driver", "pick_up", "drop_off", "status"]
