from .sockets import Answer  # noqa: F401
