import TestSupport

/// What a server sends for one request: an answer as it should be, or one that was mutated; the same for the same seed.
struct HostileAnswer {
  enum Ending: CaseIterable {
    case keepsOpen, closes, resets
  }

  /// What a good answer is about.
  enum Kind: CaseIterable {
    case page, identity, keys, webSocket
  }

  var pieces: [[UInt8]] = []
  var ending: Ending
  /// Whether it is as it should be.
  var isGood: Bool

  init(_ kind: Kind, seed: UInt64) {
    var random = SplitMix(seed: seed)
    var bytes = Self.good(kind, &random)
    let mutations = Int.random(in: 0...4, using: &random)
    isGood = mutations == 0
    for _ in 0..<mutations { Self.mutate(&bytes, kind, &random) }
    ending = isGood || Int.random(in: 0..<4, using: &random) == 0 ? .keepsOpen : .closes
    if !isGood, Int.random(in: 0..<16, using: &random) == 0 { ending = .resets }
    let cuts = (0..<Int.random(in: 0...3, using: &random)).map { _ in
      Int.random(in: 0...bytes.count, using: &random)
    }
    var start = 0
    for end in cuts.sorted() + [bytes.count] where end > start {
      pieces.append(Array(bytes[start..<end]))
      start = end
    }
  }

  // MARK: - Good ones

  private static func good(_ kind: Kind, _ random: inout SplitMix) -> [UInt8] {
    let body: String
    switch kind {
    case .page: body = String(repeating: "page ", count: Int.random(in: 0...40, using: &random))
    case .identity: body = #"{"user":"7","more":[1,2,{"a":null}]}"#
    case .keys: body = #"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"\#(key)"}]}"#
    case .webSocket: return webSocket(&random)
    }
    var answer = ""
    for _ in 0..<max(0, Int.random(in: -3...3, using: &random)) {
      answer +=
        ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]
        .randomElement(using: &random) ?? ""
    }
    let fields = (0..<Int.random(in: 0...4, using: &random)).map {
      "X-\($0): \(String(repeating: "v", count: $0))\r\n"
    }
    answer += "HTTP/1.1 200 OK\r\n" + fields.joined()
    switch Int.random(in: 0...1, using: &random) {
    case 0: answer += "Content-Length: \(body.utf8.count)\r\n\r\n" + body
    default:
      answer += "Transfer-Encoding: chunked\r\n\r\n"
      var left = Substring(body)
      while !left.isEmpty {
        let chunk = left.prefix(Int.random(in: 1...50, using: &random))
        left = left.dropFirst(chunk.count)
        let isExtended = Bool.random(using: &random)
        answer += String(chunk.utf8.count, radix: 16) + (isExtended ? ";a=\"b\"" : "") + "\r\n\(chunk)\r\n"
      }
      answer += "0\r\n" + (Bool.random(using: &random) ? "X-Sum: 1\r\n" : "") + "\r\n"
    }
    return Array(answer.utf8)
  }

  private static let key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
  /// The nonce of the hand-shake that this answers; `ClientHandshake` makes the key of it.
  static let nonce = [UInt8](repeating: 0, count: 16)
  private static let accept = "ICX+Yqv66kxgM0FcWaLWlFLwTAI="

  private static func webSocket(_ random: inout SplitMix) -> [UInt8] {
    let interim = String(
      repeating: "HTTP/1.1 100 C\r\n\r\n", count: max(0, Int.random(in: -4...4, using: &random)))
    let head =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Accept: \(accept)\r\n\r\n"
    let frames: [[UInt8]] = [
      [0x81, 2, 0x68, 0x69], [0x02, 1, 1], [0x80, 2, 2, 3], [0x89, 1, 0x70], [0x8A, 0], [0x88, 2, 3, 0xE8],
      [0x82, 126, 0, 130] + [UInt8](repeating: 7, count: 130),
    ]
    let chosen = (0..<Int.random(in: 0...5, using: &random)).flatMap { _ in
      frames.randomElement(using: &random) ?? []
    }
    return Array((interim + head).utf8) + chosen
  }

  // MARK: - Mutations

  private static let splices = [
    "HTTP/1.1 099 Odd\r\n", "HTTP/1.1 000 \r\nContent-Length: 3\r\n\r\nodd", "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.1 103 E\r\n\r\n", "HTTP/1.1 100 C\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 500 No\r\nConnection: close\r\n\r\n", "Content-Length: 5\r\n", "Content-Length: -1\r\n",
    "Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Connection: close\r\n", "Connection: keep-alive\r\n", "Upgrade: websocket\r\nConnection: upgrade\r\n",
    "0\r\n\r\n", "ffffffffffffffff\r\n", "00000000000000000000005\r\n", "5;x=\"\r\n", "\r\n", "\n", "\r",
    "\r\n\r\n",
    " folded\r\n", ": no name\r\n", "no colon\r\n", "a:\r\n", "\0", "Trailer: a\r\n", "0\r\nA: b\r\n\r\n",
    "HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
  ]

  private static func mutate(_ bytes: inout [UInt8], _ kind: Kind, _ random: inout SplitMix) {
    let place = Int.random(in: 0...bytes.count, using: &random)
    switch Int.random(in: 0..<10, using: &random) {
    case 0:
      // The status of the answer, or of one of those before it.
      let digits = bytes.indices.dropFirst(9).filter {
        bytes[$0 - 1] == 0x20 && bytes[$0 - 9..<$0 - 4].elementsEqual("HTTP/".utf8)
      }
      guard let first = digits.randomElement(using: &random), first + 3 <= bytes.count else { return }
      let statuses = [
        "099", "000", "001", "101", "100", "199", "204", "304", "404", "500", "600", "999", "99", "1000",
      ]
      bytes.replaceSubrange(
        first..<first + 3, with: Array((statuses.randomElement(using: &random) ?? "").utf8))
    case 1: bytes.insert(contentsOf: Array((splices.randomElement(using: &random) ?? "").utf8), at: place)
    case 2:
      // At the beginning of a line, where it means most.
      let lines = bytes.indices.filter { $0 == 0 || bytes[$0 - 1] == UInt8(ascii: "\n") }
      let line = lines.randomElement(using: &random) ?? 0
      bytes.insert(contentsOf: Array((splices.randomElement(using: &random) ?? "").utf8), at: line)
    case 3: bytes.removeLast(bytes.count - place)
    case 4:
      let end = min(bytes.count, place + Int.random(in: 1...20, using: &random))
      bytes.removeSubrange(place..<end)
    case 5: if place < bytes.count { bytes[place] = UInt8.random(in: 0...255, using: &random) }
    case 6: if place < bytes.count { bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &random) }
    case 7: bytes += good(kind, &random)
    case 8:
      let end = min(bytes.count, place + Int.random(in: 1...60, using: &random))
      let copies = Int.random(in: 1...4, using: &random)
      bytes.insert(contentsOf: (0..<copies).flatMap { [bytes] _ in bytes[place..<end] }, at: place)
    default:
      let count =
        Int.random(in: 0..<64, using: &random) == 0 ? 70_000 : Int.random(in: 1...300, using: &random)
      bytes.insert(
        contentsOf: [UInt8](repeating: UInt8.random(in: 0...127, using: &random), count: count), at: place)
    }
  }
}
