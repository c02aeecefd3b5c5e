"""The servers that are compared, one class each."""

from peers.channels import Daphne, Uvicorn, UvicornRedis
from peers.nchan import Nchan
from peers.picows import Picows
from peers.sluice import Sluice, SluiceCompressing, SluiceRedis
from peers.socketify import Socketify

__all__ = ["Daphne", "Nchan", "Picows", "Sluice", "SluiceCompressing", "SluiceRedis", "Socketify", "Uvicorn", "UvicornRedis"]
