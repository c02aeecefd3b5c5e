// What is read is written as the same, and neither a body of events, nor a control message or a field in it, can do harm.
//
// Input: a body of `application/websocket-events`.
func fuzz(_ input: [UInt8]) {
  guard let events = try? WebSocketEvent.decode(input) else { return checkParts(input) }
  let content = events.reduce(0) { $0 + ($1.content?.count ?? 0) }
  expect(content <= input.count, "\(content) bytes of \(input.count)")
  let written = WebSocketEvent.encode(events)
  expect(written.count <= input.count, "a body is longer when it is written again")
  expect((try? WebSocketEvent.decode(written)) == events, "the events are read as others")
  expect(
    input.isEmpty || (try? WebSocketEvent.decode(input.dropLast())) == nil,
    "a body without its last byte is one too")
  for event in events { checkParts(event.content ?? []) }
}

private func checkParts(_ bytes: [UInt8]) {
  switch try? GripControl(bytes[...]) {
  case .subscribe(let channel)?, .unsubscribe(let channel)?:
    expect(!channel.isEmpty, "a channel without a name")
  case .passedOver?, nil: break
  }
  checkState(bytes)
  guard let text = String(validating: bytes, as: UTF8.self) else { return }
  if let all = GripExtension.all(in: text) {
    expect(all.allSatisfy { !$0.name.isEmpty && ($0.prefix?.utf8.count ?? 0) < bytes.count }, "a long prefix")
  }
}

/// What a session keeps is read as it was written, whatever a back end has made it of.
private func checkState(_ bytes: [UInt8]) {
  var state = GripState(bytes)
  expect(GripState(state.json) == state, "a state is read as another")
  state.set("x", to: String(decoding: bytes, as: UTF8.self))
  expect(GripState(state.json) == state, "a state with another field is read as another")
}
