# `sockets.py` is that of examples/view; the tests copy it, as a reader of the manual does.
from house.sockets import Answer  # noqa: F401
