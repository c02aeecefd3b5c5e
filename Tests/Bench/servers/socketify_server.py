"""Echo and broadcast on socketify (the C++ core of uWebSockets): python socketify_server.py PORT [CERTIFICATE KEY]"""

import sys

from socketify import App, AppOptions

LIMITS = {"max_payload_length": 1 << 20, "max_backpressure": 1 << 20}

tls = AppOptions(cert_file_name=sys.argv[2], key_file_name=sys.argv[3]) if len(sys.argv) > 2 else None
app = App(tls)
app.ws("/echo", {**LIMITS, "message": lambda ws, message, opcode: ws.send(message, opcode)})
app.ws(
    "/news",
    {
        **LIMITS,
        "open": lambda ws: ws.subscribe("news"),
        "message": lambda ws, message, opcode: app.publish("news", message, opcode),
    },
)
app.listen(int(sys.argv[1]), lambda config: None)
app.run()
