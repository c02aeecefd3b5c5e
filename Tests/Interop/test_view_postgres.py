"""The view's side on PostgreSQL, where two workers write at the same time: the tests of two of the six apps again, and no question twice."""

import concurrent.futures

import pytest
import requests

from postgres import PostgresServer
from test_view_kills import box_to, gateway_to, servers, test_an_answer_that_is_lost_after_the_view_has_committed  # noqa: F401
from test_view_projects import site, test_no_notice_is_lost_between_the_count_and_the_events, test_who_is_there_is_a_row_for_each_socket  # noqa: F401
from test_view_side import test_another_worker_waits_for_the_first_attempt  # noqa: F401
from views import Asker, House


class PostgresHouse(House):
    def addresses(self, model: str) -> set[str]:
        return {row["address"] for row in self.rows(model)}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    postgres = PostgresServer()
    house = PostgresHouse(tmp_path_factory.mktemp("house"), {"POSTGRES": str(postgres.folder)})
    yield house
    house.stop()
    postgres.stop()


def test_it_is_postgresql(house):
    assert requests.get(house.gunicorn.url("/healthz/"), timeout=20).text == "postgresql"


def test_the_same_question_many_times_at_once(house):
    """Two workers get it together; one of them does it, and the other waits for its answer."""
    one = Asker(house.gunicorn.url("/ws/rpc/"))
    for number in range(20):
        call = {"jsonrpc": "2.0", "id": 1, "method": "notes.save", "params": [f"once {number}"]}
        question = one.question("receive", messages=[one.message(call)])
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda attempt: Asker(one.url).post(question | {"attempt": attempt}), range(1, 5)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    saved = [row["text"] for row in house.rows("rpc.Note") if row["text"].startswith("once ")]
    assert sorted(saved) == sorted(f"once {number}" for number in range(20))


def test_many_come_and_go_at_once(house):
    """Each has a row while it is there, whoever writes at the same time."""
    room = house.gunicorn.url("/ws/presence/crowd/")
    crowd = [Asker(room, user=1 + number % 4) for number in range(24)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(Asker.connect, crowd))
        assert sum(row["room"] == "crowd" for row in house.rows("presence.Present")) == 24
        list(pool.map(Asker.disconnect, crowd[1:]))
    (here,) = [row for row in house.rows("presence.Present") if row["room"] == "crowd"]
    assert here["address"] == crowd[0].record["address"]
    assert crowd[0].disconnect()[0]["publish"]["event"]["names"] == []
