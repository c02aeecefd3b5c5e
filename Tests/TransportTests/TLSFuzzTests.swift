import CLinux
import Glibc
import NIOSSL
import TestSupport
import Testing

@testable import Transport

/// Whatever a client sends, a session ends or goes on; it does not crash, hang or read what it was not given.
struct TLSFuzzTests {
  /// 20,000 hellos, most of them damaged.
  @Test func `damaged hellos are refused or answered`() throws {
    let context = try TLSContext.ofTests()
    let hellos = try [TLSVersion.tlsv12, .tlsv13].map { version in
      let ends = socketPair()
      defer {
        close(ends.reactor)
        close(ends.test)
      }
      return try TLSPeer(ends.test, version: version).takeOutput()
    }
    let ends = socketPair()
    defer {
      close(ends.reactor)
      close(ends.test)
    }
    setNonBlocking(ends.test)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    defer { unsafe buffer.deallocate() }
    var random = SplitMix(seed: 7)
    var faults: Set<String> = []
    var answered = 0
    for index in 0..<20_000 {
      let hello = damaged(hellos[index % 2], &random)
      let session = try #require(TLSSession(context, on: ends.reactor, first: hello, countedBy: .unbounded))
      var steps = 0
      repeat {
        let count = unsafe session.read(into: buffer, atMost: 1 << 15)
        #expect(count <= 0)
        steps += 1
      } while session.fault == nil && session.holdsInput && steps < 1000
      #expect(steps < 1000)
      if let fault = session.fault { faults.insert(fault.reason) } else { answered += 1 }
      unsafe session.withUnsent { #expect(unsafe $0.isEmpty) }
      while unsafe recv(ends.test, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)) > 0 {}
    }
    #expect(faults.count > 10)
    #expect(answered > 1000)
  }

  /// 500 sessions, in which a record is damaged, cut off or repeated.
  @Test func `damaged records end a session`() throws {
    let context = try TLSContext.ofTests()
    var random = SplitMix(seed: 8)
    for index in 0..<500 {
      let pair = try TLSPair(context, version: index % 2 == 0 ? .tlsv13 : .tlsv12)
      try pair.establish()
      let message = (0..<Int.random(in: 1...300, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      pair.peer.write(message)
      let whole = try pair.peer.takeOutput()
      let bad = damaged(whole, &random)
      send(bad, to: pair.ends.test)
      shutdown(pair.ends.test, Int32(SHUT_WR))
      // The bytes, and then the end.
      pair.read()
      pair.read()
      // Nothing but the message, and only once, may come out of it.
      #expect(pair.received.isEmpty || pair.received == message)
      #expect(bad != whole || pair.received == message)
      #expect(pair.last.count == 0 || pair.last.code == EPROTO)
    }
  }

  private func damaged(_ bytes: [UInt8], _ random: inout SplitMix) -> [UInt8] {
    var bytes = bytes
    switch Int.random(in: 0..<8, using: &random) {
    case 0: bytes.removeLast(Int.random(in: 1...bytes.count, using: &random))
    case 1: bytes += bytes
    case 2:
      bytes.insert(
        UInt8.random(in: 0...255, using: &random), at: Int.random(in: 0...bytes.count, using: &random))
    case 3: bytes.remove(at: Int.random(in: 0..<bytes.count, using: &random))
    case 4: break
    default:
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
    }
    return bytes
  }
}
