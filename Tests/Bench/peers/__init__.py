"""The servers that are compared, one class each."""

from peers.channels import Daphne, Uvicorn, UvicornRedis, UvicornTLS
from peers.nchan import Nchan
from peers.nginx import NginxInFront
from peers.picows import Picows
from peers.sluice import Sluice, SluiceCompressing, SluiceRedis, SluiceTLS
from peers.socketify import Socketify, SocketifyTLS

__all__ = [
    "Daphne",
    "Nchan",
    "NginxInFront",
    "Picows",
    "Sluice",
    "SluiceCompressing",
    "SluiceRedis",
    "SluiceTLS",
    "Socketify",
    "SocketifyTLS",
    "Uvicorn",
    "UvicornRedis",
    "UvicornTLS",
]
