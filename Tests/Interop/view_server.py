"""A view of `consumer: view` for tests: an HTTP server that notes each question, and answers as the test says."""

import http.server
import json
import queue
import socketserver
import threading


class Question(dict):
    """The members of a question, and the fields of its request as `fields`."""

    fields: dict


class View:
    """Answers by `answer(question)`, which may be replaced: an object, None for 204, or (status, body, fields)."""

    def __init__(self):
        self.asked: list[Question] = []
        self.news: queue.Queue = queue.Queue()
        self.answer = lambda question: None
        view = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                question = Question(json.loads(body))
                question.fields = {name.lower(): value for name, value in self.headers.items()}
                question.target = self.path
                view.asked.append(question)
                view.news.put(question)
                try:
                    answer = view.answer(question)
                except ConnectionError:
                    # The answer is lost.
                    self.close_connection = True
                    return
                status, text, fields = answer if isinstance(answer, tuple) else (200 if answer is not None else 204, answer, {})
                text = b"" if text is None else text if isinstance(text, bytes) else json.dumps(text).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **fields}.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, address):
                # The gateway has gone away.
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next(self, event: str, timeout: float = 20) -> Question:
        """Waits for the next question, which has to be of this kind."""
        question = self.news.get(timeout=timeout)
        assert question["event"] == event, question
        return question

    def of(self, event: str) -> list[Question]:
        return [question for question in self.asked if question["event"] == event]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
