import Bytes

@testable import WebSocketCore

// The readers of request and response heads agree with themselves on every part of their input, accept nothing that a second
// reader could take for something else, and what is answered is a head again.
//
// Input: the bytes of a connection.
func fuzz(_ input: [UInt8]) {
  checkRequests(input)
  checkResponses(input)
}

/// Heads have to end before this, so that the bound is reached by small inputs too.
private let longest = 512

private func request(_ bytes: [UInt8]) -> RequestHead.Parsed {
  unsafe RequestHead.parse(bytes.span.bytes, maximumLength: longest)
}

private func response(_ bytes: [UInt8]) -> ResponseHead.Parsed {
  unsafe ResponseHead.parse(bytes.span.bytes, maximumLength: longest)
}

// MARK: - Requests

private func checkRequests(_ input: [UInt8]) {
  let whole = request(input)
  for end in prefixes(of: input) {
    let part = request(Array(input[..<end]))
    switch part {
    case .incomplete: break
    case .malformed: expect(part == whole, "\(end) bytes are \(part), and all are \(whole)")
    case .complete(_, let length):
      expect(part == whole && length <= end, "\(end) bytes are \(part), and all are \(whole)")
    }
    if case .complete(_, let length) = whole {
      expect((part == .incomplete) == (end < length), "\(end) of \(length) bytes are \(part)")
    }
  }
  guard case .complete(let head, let length) = whole else { return }
  check(lines: Array(input[..<length]), of: head.fields)
  let written =
    Array("\(head.method) ".utf8) + head.target + Array(" HTTP/1.\(head.minorVersion)\r\n".utf8)
    + written(head.fields)
  let again = unsafe RequestHead.parse(written.span.bytes, maximumLength: 4 * longest)
  expect(again == .complete(head, length: written.count), "\(head) was written, and read as \(again)")
  let hosts = head.values(of: "host")
  expect(hosts.count == 1 || hosts.isEmpty && head.minorVersion == 0, "\(hosts.count) Host fields")
  expect(head.target.allSatisfy { (0x21...0x7E).contains($0) }, "a target that is more than a word")
  checkHandshake(head)
}

private func checkHandshake(_ head: RequestHead) {
  switch Handshake.read(head) {
  case .failure(let fault):
    guard case .badRequest(let text) = fault else { return }
    expect(!text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 }, "a fault is told by \(text)")
  case .success(let handshake):
    expect(head.method == "GET" && head.minorVersion == 1, "\(head) is taken for a handshake")
    expect(head.values(of: "transfer-encoding").isEmpty, "a handshake with a body")
    expect(head.values(of: "content-length").allSatisfy { $0 == "0" }, "a handshake with a body")
    expect(head.values(of: "sec-websocket-key") == [handshake.key], "not one key")
    expect(head.values(of: "origin").count <= 1, "more than one origin")
    checkAnswer(to: handshake)
  }
}

private func checkAnswer(to handshake: Handshake) {
  let policy = CompressionPolicy(serverContext: .kept, clientContext: .kept, windowBits: 12)
  let compression = policy.choose(from: handshake.extensions)
  let answer = handshake.response(subprotocol: handshake.subprotocols.first, compression: compression)
  guard case .complete(let head, answer.count) = unsafe ResponseHead.parse(answer.span.bytes) else {
    fatalError("an answer is no response: \(answer)")
  }
  let fields = head.fields.count
  let expected = 3 + (handshake.subprotocols.isEmpty ? 0 : 1) + (compression == nil ? 0 : 1)
  expect(head.status == 101 && fields == expected, "\(handshake) is answered by \(head)")
  let chosen = ExtensionOffer.parse(head.fields.values(of: "sec-websocket-extensions"))
  expect(
    chosen?.count == (compression == nil ? 0 : 1),
    "the extensions of the answer are \(String(describing: chosen))")
  if let compression {
    expect((9...12).contains(compression.serverWindowBits), "\(compression) is beyond the policy")
    expect((8...15).contains(compression.clientWindowBits), "\(compression) is beyond the policy")
  }
}

// MARK: - Responses

private func checkResponses(_ input: [UInt8]) {
  let whole = response(input)
  for end in prefixes(of: input) {
    let part = response(Array(input[..<end]))
    expect(part == .incomplete || part == whole, "\(end) bytes are \(part), and all are \(whole)")
  }
  guard case .complete(let head, let length) = whole else { return }
  expect((100...599).contains(head.status), "the status \(head.status)")
  check(lines: Array(input[..<length]), of: head.fields)
  var client = ClientHandshake(target: "/", host: "a", subprotocols: ["a", "b"], nonce: Array(0..<16))
  client.offersCompression = true
  if case .success(let chosen) = client.check(head) {
    expect(head.status == 101, "a handshake by the status \(head.status)")
    expect(chosen == nil || chosen == "a" || chosen == "b", "the subprotocol was not offered")
  }
}

// MARK: - Both

/// All ends before that of the input, or the first and last of a long one.
private func prefixes(of input: [UInt8]) -> [Int] {
  input.count <= 128 ? Array(0..<input.count) : Array(0..<32) + Array((input.count - 64)..<input.count)
}

/// A head is made of lines that end in CR LF and have no other of either, one for each field behind the first, up to the empty
/// one.
private func check(lines head: [UInt8], of fields: [HeaderField]) {
  expect(head.suffix(4).elementsEqual("\r\n\r\n".utf8), "a head that does not end in an empty line")
  var lines = 0
  for (index, byte) in head.enumerated() {
    expect(byte >= 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D, "a control character in a head")
    if byte == UInt8(ascii: "\r") {
      expect(head[index + 1] == UInt8(ascii: "\n"), "a carriage return stands alone")
      if index >= 1, head[index - 1] != UInt8(ascii: "\n") { lines += 1 }
    } else if byte == UInt8(ascii: "\n") {
      expect(index > 0 && head[index - 1] == UInt8(ascii: "\r"), "a line feed stands alone")
    }
  }
  expect(lines == fields.count + 1, "\(lines) lines became \(fields.count) fields")
  for field in fields {
    expect(!field.name.isEmpty && field.name.utf8.allSatisfy(Token.has), "the name \(field.name)")
    expect(field.name == field.name.lowercased(), "the name \(field.name)")
    expect(field.value.utf8.allSatisfy { $0 >= 0x20 || $0 == 0x09 }, "the value \(field.value)")
  }
}

private func written(_ fields: [HeaderField]) -> [UInt8] {
  OpaqueText.bytes(of: fields.map { "\($0.name): \($0.value)\r\n" }.joined() + "\r\n")
}
