document.querySelector("#room-form").onsubmit = (event) => {
  event.preventDefault();
  window.location.pathname = `/chat/${document.querySelector("#room-name-input").value}/`;
};
