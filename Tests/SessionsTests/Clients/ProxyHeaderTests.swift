import Bytes
import TestSupport
import Testing

@testable import Sessions

private let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

private func block(_ command: UInt8, _ family: UInt8, _ body: [UInt8], length: Int? = nil) -> [UInt8] {
  let length = length ?? body.count
  return signature + [command, family, UInt8(length >> 8), UInt8(length & 0xFF)] + body
}

private let v4: [UInt8] = [203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x67, 0x01, 0xBB]
private let v6: [UInt8] =
  [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [7] + [UInt8](repeating: 1, count: 16) + [
    0x12, 0x67, 0, 80,
  ]

private func source(_ text: String, _ port: Int) throws -> ProxyHeader.Source {
  .address(try #require(IPAddress(text)), port: port)
}

private func fault(_ bytes: [UInt8]) -> String? {
  if case .malformed(let fault) = ProxyHeader.read(bytes) { fault } else { nil }
}

struct ProxyHeaderTests {
  @Test func `version 1 names the client in one line`() throws {
    for (line, client) in [
      ("PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n", try source("203.0.113.7", 4711)),
      ("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", try source("2001:db8::7", 4711)),
      ("PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n", try source("203.0.113.7", 1)),
      ("PROXY UNKNOWN\r\n", nil), ("PROXY UNKNOWN 1 2 3 anything\r\n", nil),
    ] {
      let expected = ProxyHeader(client: client, length: line.utf8.count)
      #expect(ProxyHeader.read(Array(line.utf8)) == .complete(expected))
      #expect(ProxyHeader.read(Array((line + "GET / HTTP/1.1\r\n").utf8)) == .complete(expected))
    }
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\n", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
    "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
    "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "PROXY \r\n", "PROXY TCP4 1.2.3.4\t1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX",
    "proxy UNKNOWN\r\n",
    "PROXY UNKNOWN \u{1}\r\n",
  ])
  func `another line is refused`(_ text: String) {
    #expect(fault(Array(text.utf8)) != nil)
  }

  @Test func `version 1 ends within 107 bytes`() {
    let text = Array(("PROXY UNKNOWN" + String(repeating: " ", count: 107 - 15)).utf8)
    #expect(ProxyHeader.read(text + [0x0D, 0x0A]) == .complete(ProxyHeader(length: 107)))
    for end in [[0x20, 0x0D, 0x0A], [0x20, 0x20], [0x20, 0x0D]] as [[UInt8]] {
      #expect(fault(text + end) == "the PROXY protocol line is longer than 107 bytes")
    }
  }

  @Test func `version 2 names the client in a block`() throws {
    let unix = [UInt8](repeating: 0x2F, count: 216)
    for (bytes, client, isSecure) in [
      (block(0x21, 0x11, v4), try source("203.0.113.7", 4711), nil),
      (block(0x21, 0x21, v6), try source("2001:db8::7", 4711), nil),
      (block(0x21, 0x31, unix), .unix, nil), (block(0x20, 0x00, []), nil, nil),
      (block(0x20, 0x11, [1, 2, 3]), nil, nil), (block(0x21, 0x00, [9, 9]), nil, nil),
      // NOOP, then an extension of the proxy's own.
      (block(0x21, 0x11, v4 + [0x04, 0, 3, 0, 0, 0, 0xE0, 0, 0]), try source("203.0.113.7", 4711), nil),
      (block(0x21, 0x11, v4 + [0x20, 0, 5, 1, 0, 0, 0, 0]), try source("203.0.113.7", 4711), true),
      (block(0x21, 0x11, v4 + [0x20, 0, 5, 0, 0, 0, 0, 0]), try source("203.0.113.7", 4711), false),
    ] as [([UInt8], ProxyHeader.Source?, Bool?)] {
      let expected = ProxyHeader(client: client, isSecure: isSecure, length: bytes.count)
      #expect(ProxyHeader.read(bytes + [0x16, 3, 1]) == .complete(expected))
    }
  }

  @Test(arguments: [
    block(0x11, 0x11, v4), block(0x31, 0x11, v4), block(0x22, 0x11, v4), block(0x21, 0x12, v4),
    block(0x21, 0x22, v6),
    block(0x21, 0x13, v4), block(0x21, 0x41, v4), block(0x21, 0x11, Array(v4.dropLast())),
    block(0x21, 0x21, v4),
    block(0x21, 0x31, v6), block(0x21, 0x11, v4 + [4]), block(0x21, 0x11, v4 + [4, 0, 2, 0]),
    block(0x21, 0x11, v4 + [0x20, 0, 1, 1]), block(0x21, 0x11, v4 + [4, 0xFF, 0xFF]),
    block(0x21, 0x11, [], length: 4081), block(0x20, 0x00, [], length: 65535),
  ])
  func `another block is refused`(_ bytes: [UInt8]) {
    #expect(fault(bytes) != nil)
  }

  @Test(arguments: 0..<4)
  func `whatever comes is read to the same end, in pieces or at once, and never beyond its bounds`(
    _ seed: Int
  ) throws {
    var random = SplitMix(seed: UInt64(seed))
    let good: [[UInt8]] = [
      Array("PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n".utf8), Array("PROXY UNKNOWN\r\n".utf8),
      block(0x21, 0x11, v4 + [0x20, 0, 5, 1, 0, 0, 0, 0]), block(0x21, 0x21, v6), block(0x20, 0, []),
    ]
    for _ in 0..<150 {
      var bytes = good.randomElement(using: &random) ?? []
      for _ in 0..<Int.random(in: 0...3, using: &random) {
        let place = Int.random(in: 0...bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
        case 1: bytes = Array(bytes[..<place])
        case 2:
          bytes += (0..<Int.random(in: 0..<300, using: &random)).map { _ in
            UInt8.random(in: 0...255, using: &random)
          }
        default: if place < bytes.count { bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random) }
        }
      }
      let whole = ProxyHeader.read(bytes)
      if case .complete(let header) = whole {
        try #require((15...ProxyHeader.longestBlock).contains(header.length))
      }
      // The first piece that decides has decided for all that comes behind it.
      let first = (0...bytes.count).lazy.map { ProxyHeader.read(Array(bytes[..<$0])) }.first {
        $0 != .incomplete
      }
      try #require(first ?? .incomplete == whole, "\(bytes)")
    }
  }
}
