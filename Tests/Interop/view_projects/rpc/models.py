import json
import time

from django.db import models


class Note(models.Model):
    text = models.CharField(max_length=200)


def add(a, b):
    return a + b


def save_note(text, seconds=0):
    note = Note.objects.create(text=text)
    time.sleep(seconds)
    return note.pk


def list_notes():
    return list(Note.objects.order_by("pk").values_list("text", flat=True))


METHODS = {"add": add, "notes.save": save_note, "notes.list": list_notes}


def answer(text):
    """JSON-RPC 2.0: the answer to a call, `None` to a notification."""
    try:
        call = json.loads(text)
    except ValueError:
        return error(None, -32700, "Parse error")
    if not isinstance(call, dict) or call.get("jsonrpc") != "2.0" or not isinstance(call.get("method"), str):
        return error(None, -32600, "Invalid Request")
    if call["method"] not in METHODS:
        return "id" in call and error(call["id"], -32601, "Method not found") or None
    params = call.get("params", {})
    try:
        result = METHODS[call["method"]](*params) if isinstance(params, list) else METHODS[call["method"]](**params)
    except TypeError:
        return error(call.get("id"), -32602, "Invalid params")
    return {"jsonrpc": "2.0", "id": call["id"], "result": result} if "id" in call else None


def error(id, code, message):
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}
