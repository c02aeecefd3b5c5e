"""A Django project under gunicorn, Daphne or uvicorn, for tests that need a real one."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import requests

SECRET = "a secret of more than the thirty-two bytes that HS256 wants"


class Project:
    """gunicorn with a project, whose database is new."""

    scheme = "http"
    # Whose certificates its own requests accept, as `requests` takes it.
    authority: str | bool = True

    def __init__(self, home: pathlib.Path, folder: pathlib.Path, site: str, set_up: str | None, ready: str, env: dict = {}):
        """`set_up` runs in Django before it starts, or is `None` if the database of `home` is there; `ready` is the path of a page."""
        home.mkdir(exist_ok=True)
        self.env = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": f"{site}.settings",
            "DATABASE": str(home / "db.sqlite3"),
            "SECRET_KEY": SECRET,
            **env,
        }
        migrate = (
            "import django; django.setup()\n"
            "from django.core.management import call_command; call_command('migrate', verbosity=0)\n"
            # The tables of apps without migrations come last, because they refer to others.
            "call_command('migrate', run_syncdb=True, verbosity=0)\n"
        )
        if set_up is not None:
            subprocess.run([sys.executable, "-c", migrate + set_up], env=self.env, check=True, timeout=120)
        command = [sys.executable, "-m", *self.server(site, home)]
        self.process = subprocess.Popen(command, env=self.env, cwd=home, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"(?:Listening at: https?://|Listening on TCP address |Uvicorn running on http://)127.0.0.1:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise AssertionError("the server did not start")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        # It listens before the worker has started; a request waits for the worker.
        assert requests.get(self.url(ready), timeout=60, verify=self.authority).ok

    def server(self, site: str, home: pathlib.Path) -> list[str]:
        """The module of a server, and its arguments."""
        return [
            "gunicorn", f"{site}.wsgi", "--bind", "127.0.0.1:0", "--threads", "4", "--worker-tmp-dir", str(home), "--no-control-socket",
        ]

    def url(self, path: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def get(self, path: str, **params):
        answer = requests.get(self.url(path), params=params, timeout=20, verify=self.authority)
        assert answer.ok, answer.text
        return answer.json()

    def asked(self) -> list:
        return self.get("/asked/")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class ChannelsProject(Project):
    """Daphne with a project that has consumers."""

    def server(self, site: str, home: pathlib.Path) -> list[str]:
        return ["daphne", "-b", "127.0.0.1", "-p", "0", f"{site}.asgi:application"]
