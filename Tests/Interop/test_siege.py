"""One short attack of each kind in a row. `siege.py` does the same for any length of time."""

import pytest

from siege import ATTACKS, Siege, table
from conftest import SLUICE

# It measures.
pytestmark = pytest.mark.alone


@pytest.fixture
def siege(tmp_path):
    siege = Siege(SLUICE, tmp_path)
    yield siege
    siege.close()


def test_nothing_ends_it_and_everybody_else_is_served(siege):
    """In 256 MiB. A healthy session gets each of its answers, health is 200 each time, the back end is never refused, and in the
    end it stops as on any day."""
    result = siege.run(ATTACKS, seconds=1.5, quiet=2, rest=0)
    print(table(result))
    assert (result["ended"], result["errors"]) == (None, []), "\n".join(siege.log[-20:])
    assert not any(result["complaints"].values()), result["complaints"]
    assert set(result["memory"]) == set(ATTACKS) == set(result["health"]) & set(result["echo"]) & set(ATTACKS)
    assert siege.close() == 0
