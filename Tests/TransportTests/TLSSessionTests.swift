import CLinux
import Glibc
import NIOSSL
import TestSupport
import Testing

@testable import Transport

struct TLSSessionTests {
  @Test(arguments: [TLSVersion.tlsv12, .tlsv13])
  func `bytes arrive in both directions, and so does the end`(_ version: TLSVersion) throws {
    let pair = try TLSPair(.ofTests(), version: version)
    #expect(!pair.session.isEstablished)
    try pair.establish()
    #expect(pair.session.isEstablished)

    let message = (0..<30_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    pair.peer.write(message)
    try pair.peer.exchange()
    pair.read()
    #expect(pair.received == message)
    #expect(pair.write(message) == message.count)
    for _ in 0..<4 { try pair.peer.exchange() }
    #expect(pair.peer.received == message)

    pair.peer.finish()
    send(try pair.peer.takeOutput(), to: pair.ends.test)
    pair.read()
    #expect(pair.last.count == 0)
    #expect(pair.session.fault == nil)
    #expect(!pair.session.holdsInput)
  }

  @Test func `an end without a farewell is an end`() throws {
    let pair = try TLSPair(.ofTests())
    try pair.establish()
    pair.peer.write([1, 2, 3])
    try pair.peer.exchange()
    shutdown(pair.ends.test, Int32(SHUT_WR))
    pair.read()
    #expect(pair.received == [1, 2, 3])
    #expect(pair.last.count == 0)
  }

  @Test func `a record that arrives byte by byte is read when it is whole`() throws {
    let pair = try TLSPair(.ofTests())
    try pair.establish()
    pair.peer.write([7, 8])
    let record = try pair.peer.takeOutput()
    for byte in record {
      #expect(pair.received.isEmpty)
      send([byte], to: pair.ends.test)
      pair.read()
    }
    #expect(pair.received == [7, 8])
  }

  @Test func `many small records are read in several steps`() throws {
    let pair = try TLSPair(.ofTests())
    try pair.establish()
    for index in 0..<200 {
      pair.peer.write([UInt8(index)])
      try pair.peer.exchange()
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    defer { unsafe buffer.deallocate() }
    #expect(unsafe pair.session.read(into: buffer, atMost: 1 << 15) == 64)
    #expect(pair.session.holdsInput)
    pair.read()
    #expect(pair.received == (64..<200).map { UInt8($0) })
    #expect(!pair.session.holdsInput)
  }

  @Test func `the certificate is chosen by the name in the hello`() throws {
    let names = Reports<String>()
    let context = try TLSContext.ofTests {
      names.add($0)
      return 0
    }
    try TLSPair(context, name: "Some.Example").establish()
    #expect(names.values == ["Some.Example"])
    try TLSPair(context, name: nil).establish()
    #expect(names.values == ["Some.Example"])
  }

  @Test func `a version that is too old is refused, and the reason is there`() throws {
    let pair = try TLSPair(.ofTests(minimum: .tls13), version: .tlsv12)
    pair.read()
    #expect(pair.last.code == EPROTO)
    #expect(pair.session.fault == TLSFault(reason: "unsupported protocol", source: .library))
    // The fault stays.
    #expect(pair.session.holdsInput)
    pair.read()
    #expect(pair.last.code == EPROTO)
  }

  @Test func `a connection that ends before a byte is told apart`() throws {
    let pair = try TLSPair(.ofTests(), first: [])
    shutdown(pair.ends.test, Int32(SHUT_WR))
    pair.read()
    #expect(pair.session.fault?.source == .peerEnd)
    #expect(!pair.session.isHeard)
  }

  @Test func `what the socket does not take is handed back`() throws {
    let pair = try TLSPair(.ofTests())
    try pair.establish()
    let block = [UInt8](repeating: 5, count: 1 << 16)
    var unsent: [UInt8] = []
    var total = 0
    while unsent.isEmpty {
      total += pair.write(block)
      unsafe pair.session.withUnsent { unsent = unsafe Array($0) }
    }
    // What was encrypted is everything that was given, with what is around it.
    var sent = unsent
    while !sent.isEmpty {
      for _ in 0..<4 { try pair.peer.exchange() }
      let count = unsafe Glibc.send(pair.ends.reactor, sent, sent.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      if count > 0 { sent.removeFirst(count) }
    }
    for _ in 0..<40 { try pair.peer.exchange() }
    #expect(pair.peer.received.count == total)
  }

  @Test func `a certificate and a key that do not belong together are refused`() throws {
    let (good, other) = (TLSContext.Certificate.ofTests, TLSContext.Certificate.otherKey)
    #expect(throws: TLSContext.Fault.self) {
      try TLSContext([.init(chain: good.chain, key: other)], minimum: .tls12)
    }
    #expect(throws: TLSContext.Fault.self) {
      try TLSContext([.init(chain: [[1, 2, 3]], key: good.key)], minimum: .tls12)
    }
  }
}
