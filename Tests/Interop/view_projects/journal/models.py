from django.db import models


class Entry(models.Model):
    """A message, as the view was asked about it."""

    address = models.CharField(max_length=200, db_index=True)
    n = models.PositiveIntegerField()
    text = models.CharField(max_length=200)
    question = models.CharField(max_length=100)


class Coming(models.Model):
    address = models.CharField(max_length=200, db_index=True)


class Going(models.Model):
    address = models.CharField(max_length=200, db_index=True)
    code = models.PositiveIntegerField()
    presumed = models.BooleanField()
    groups = models.JSONField()
    state = models.JSONField(null=True)
