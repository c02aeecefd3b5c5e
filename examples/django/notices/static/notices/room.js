// The contract of the Channels tutorial: ws/chat/ROOM/ on the page's own host, {"message": X} both ways.
const room = JSON.parse(document.querySelector("#room-name").textContent);
const scheme = window.location.protocol === "https:" ? "wss" : "ws";
const log = document.querySelector("#chat-log");
const input = document.querySelector("#chat-message-input");
const socket = new WebSocket(`${scheme}://${window.location.host}/ws/chat/${room}/`);

socket.onopen = () => { document.body.dataset.state = "open"; };
socket.onmessage = (event) => { log.value += JSON.parse(event.data).message + "\n"; };
socket.onclose = () => {
  document.body.dataset.state = "closed";
  console.error("Chat socket closed unexpectedly");
};

document.querySelector("#chat-form").onsubmit = (event) => {
  event.preventDefault();
  socket.send(JSON.stringify({ message: input.value }));
  input.value = "";
};
