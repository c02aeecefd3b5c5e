"""A PostgreSQL of the tests' own: a new cluster in a temporary folder, which only a Unix socket leads to."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from redis_stack import wait_until

# It refuses to run as root, so it runs as the user of Debian's package, or as whoever runs the tests.
USER = {"user": "postgres"} if os.geteuid() == 0 else {}


def program(name: str) -> str:
    """Debian has them outside of the PATH, a folder for each version."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(name) or name


class PostgresServer:
    """`folder` has its socket; any local user is `postgres`, without a password."""

    def __init__(self):
        # Not in the folder of a test: its user cannot go through that, and a socket has a short path.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-postgres-"))
        if USER:
            shutil.chown(self.folder, **USER)
        data = self.folder / "data"
        make = [program("initdb"), "--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, cwd="/", timeout=120, **USER)
        # Processes are killed here, and the machine is not: nothing waits for the disk.
        settings = {"listen_addresses": "", "unix_socket_directories": self.folder, "fsync": "off", "shared_buffers": "16MB"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([program("postgres"), "-D", data, *options], stdout=log, stderr=log, cwd="/", **USER)
        try:
            wait_until(self.is_ready, 60, "PostgreSQL is ready")
        except BaseException:
            print((self.folder / "log").read_text())
            self.stop()
            raise

    def is_ready(self) -> bool:
        assert self.process.poll() is None, "PostgreSQL has ended"
        return subprocess.run([program("pg_isready"), "--quiet", "--host", self.folder], timeout=20).returncode == 0

    def stop(self) -> None:
        """Does not wait for clients, who are servers of the tests."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        shutil.rmtree(self.folder)
