"""The chat of examples/view in Flask, with SQLite: what is said is saved, and a page that comes sees what was said last."""

import hashlib
import hmac
import json
import os
import sqlite3
import time

from flask import Flask, Response, abort, request

app = Flask(__name__)
SECRET = os.environ["SLUICE_SECRET"].encode()


def database():
    connection = sqlite3.connect(os.environ.get("DATABASE", "chat.sqlite3"), timeout=20)
    connection.execute("CREATE TABLE IF NOT EXISTS answers (id TEXT PRIMARY KEY, body TEXT)")
    connection.execute("CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, room TEXT, text TEXT)")
    return connection


def check_signature():
    sent_at, id = (request.headers.get(f"X-Sluice-{name}", "") for name in ["Time", "Id"])
    target = request.environ["RAW_URI"]  # as gunicorn has received it
    signed = "\n".join(["1", sent_at, id, "POST", target, ""]).encode("latin-1") + request.get_data()
    wanted = b"v1=" + hmac.new(SECRET, signed, hashlib.sha256).hexdigest().encode()
    given = request.headers.get("X-Sluice-Signature", "").encode().split(b",")
    if not sum(hmac.compare_digest(wanted, one.strip()) for one in given) or abs(time.time() - int(sent_at)) > 60:
        abort(Response(status=401, headers={"WWW-Authenticate": "Sluice"}))  # not about the client


@app.post("/ws/rooms/<room>/")
def chat(room):
    check_signature()
    question = request.get_json()
    with database() as db:  # one transaction
        db.execute("BEGIN IMMEDIATE")
        # The same id again is the same question: its answer was lost, and nothing is done twice.
        if kept := db.execute("SELECT body FROM answers WHERE id = ?", [question["id"]]).fetchone():
            return Response(kept[0], content_type="application/json")
        do = []
        if question["event"] == "connect":
            # An answer has at most 1 MiB.
            said = db.execute("SELECT text FROM messages WHERE room = ? ORDER BY id DESC LIMIT 20", [room]).fetchall()
            do.append({"send": {"json": {"messages": [text for (text,) in reversed(said)]}}})
        for message in [one for one in question.get("messages", []) if "text" in one]:
            db.execute("INSERT INTO messages (room, text) VALUES (?, ?)", [room, message["text"]])
            do.append({"publish": {"group": f"room_{room}", "message": message["text"]}})
        body = json.dumps({"do": do})
        db.execute("INSERT INTO answers VALUES (?, ?)", [question["id"], body])
    return Response(body, content_type="application/json")
