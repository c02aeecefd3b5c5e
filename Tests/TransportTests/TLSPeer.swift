import CLinux
import FoundationEssentials
import Glibc
import NIOCore
import NIOEmbedded
import NIOSSL
import TestSupport
import Testing

@testable import Transport

extension TLSContext.Certificate {
  /// For `localhost`, self-signed, on P-256, good for a hundred years.
  static let ofTests = TLSContext.Certificate(
    chain: [decoded(certificate)], key: decoded(key))

  /// Of no certificate.
  static let otherKey = decoded(
    """
    MHcCAQEEICVE+BSBqLqbeyGVqsYLiNGGZgl1nDKJSrAeQ8L0frHBoAoGCCqGSM49AwEHoUQDQgAEc7xa7WT2ETiJEW2jMwKPnImb\
    070q0nG4CCAW8NAyEpwL5a14cXCfqg7AOIrqKFK1Nuins/Dnkg141BB55kekNg==
    """)

  /// For `localhost`, and of an authority of that name whose key is another one than that of the certificate above.
  static let ofAnotherAuthority = TLSContext.Certificate(
    chain: [
      decoded(
        """
        MIIBKDCBz6ADAgECAgEHMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDAgFw0yNjExMjgwMDAwMDBaGA8yMTI2MTEw\
        NTAwMDAwMFowDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHO8Wu1k9hE4iRFtozMCj5yJm9O9KtJxuAgg\
        FvDQMhKcC+WteHFwn6oOwDiK6ihStTbop7Pw55INeNQQeeZHpDajGDAWMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAKBggqhkjOPQQD\
        AgNIADBFAiEA7LXIXEbf3mqOfW6NBjT/l5FTeOod0BTAH3qOcwK/dWoCIG2FvbfhoI9Tq9a0nKGsssuTL8b2vyeE42pVpKw2n96N
        """)
    ], key: otherKey)

  private static func decoded(_ text: String) -> [UInt8] { Data(base64Encoded: text).map(Array.init) ?? [] }

  private static let certificate = """
    MIIBljCCATugAwIBAgIUaYdt8Jvh21qJC1XkFUoYtKx93P4wCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2\
    MTEyOTA1NTIzMVoYDzIxMjYxMTA1MDU1MjMxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\
    AAR5wDp/uH9E/hekUP/1M+gTb1YCpTyFBLhEacdbtXo3SG6klkPrqg4D4xp+70loXEOI5NjFQGoG15xLOgEGJtLjo2kwZzAdBgNV\
    HQ4EFgQU1aiZyBaqB+kCfyAJTpZ30Mxd6cIwHwYDVR0jBBgwFoAU1aiZyBaqB+kCfyAJTpZ30Mxd6cIwDwYDVR0TAQH/BAUwAwEB\
    /zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwIDSQAwRgIhANZ1XGezoyzaJKkYCbdKiQBXUaEjqGJR9wSHvq0xeahT\
    AiEA70HBmk2wii4gtJgIP0kxugoPEy1Gbwh+9h16yynrefA=
    """

  private static let key = """
    MHcCAQEEIMLps8nHyZOw8KSdG3nfKFpGBhe1CnX9avoePpyntNbnoAoGCCqGSM49AwEHoUQDQgAEecA6f7h/RP4XpFD/9TPoE29W\
    AqU8hQS4RGnHW7V6N0hupJZD66oOA+Mafu9JaFxDiOTYxUBqBtecSzoBBibS4w==
    """
}

extension TLSContext {
  static func ofTests(
    minimum: MinimumVersion = .tls12, choose: @escaping @Sendable (String) -> Int = { _ in 0 }
  ) throws -> TLSContext {
    try TLSContext([.ofTests], minimum: minimum, choose: choose)
  }
}

extension MemoryAllowance {
  static var unbounded: MemoryAllowance { MemoryAllowance(of: MemoryBudget(total: .max / 2), among: 1) }
}

/// A client with TLS at the other end of a pair of sockets: another implementation (BoringSSL), without a thread.
final class TLSPeer {
  private let channel: EmbeddedChannel
  private let descriptor: Int32
  /// What arrived, decrypted.
  private(set) var received: [UInt8] = []
  /// Whether the server has said that nothing more comes, or ended.
  private(set) var isAtEnd = false

  /// - Parameter descriptor: not blocking.
  init(_ descriptor: Int32, name: String? = "localhost", version: TLSVersion? = nil) throws {
    self.descriptor = descriptor
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateVerification = .none
    configuration.minimumTLSVersion = version ?? .tlsv12
    configuration.maximumTLSVersion = version
    let context = try NIOSSLContext(configuration: configuration)
    channel = EmbeddedChannel(handler: try NIOSSLClientHandler(context: context, serverHostname: name))
    channel.connect(to: try SocketAddress(unixDomainSocketPath: "/peer"), promise: nil)
  }

  /// What the client has to send now, encrypted.
  func takeOutput() throws -> [UInt8] {
    var bytes: [UInt8] = []
    while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
      bytes += Array(buffer.readableBytesView)
    }
    return bytes
  }

  /// Encrypts bytes.
  func write(_ bytes: [UInt8]) {
    channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
  }

  /// Sends what there is to send, and takes what has come.
  ///
  /// - Parameter most: of what has come; bytes.
  func exchange(atMost most: Int = 1 << 16) throws {
    let output = try takeOutput()
    if !output.isEmpty {
      let sent = unsafe Glibc.send(descriptor, output, output.count, Int32(MSG_NOSIGNAL))
      precondition(sent == output.count, "the pair of sockets has room for what a test sends")
    }
    var buffer = [UInt8](repeating: 0, count: most)
    let count = unsafe recv(descriptor, &buffer, most, Int32(MSG_DONTWAIT))
    if count == 0 { isAtEnd = true }
    guard count > 0 else { return }
    try channel.writeInbound(ByteBuffer(bytes: buffer[..<count]))
    while let buffer = try channel.readInbound(as: ByteBuffer.self) {
      received += Array(buffer.readableBytesView)
    }
    if !channel.isActive { isAtEnd = true }
  }

  /// Says that nothing more will come.
  func finish() {
    channel.close(mode: .output, promise: nil)
  }

  deinit {
    // It waits for the server's farewell, but not for ever.
    channel.close(promise: nil)
    channel.embeddedEventLoop.advanceTime(by: .minutes(1))
  }
}

/// Both ends of a connection, turned by hand.
@safe final class TLSPair {
  let session: TLSSession
  let peer: TLSPeer
  let ends: (reactor: Int32, test: Int32)
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
  private(set) var received: [UInt8] = []
  /// The result of the last read that gave no bytes, and its `errno`.
  private(set) var last: (count: Int, code: Int32) = (-1, EAGAIN)

  init(
    _ context: TLSContext, name: String? = "localhost", version: TLSVersion? = nil, first: [UInt8]? = nil
  ) throws {
    ends = socketPair()
    setNonBlocking(ends.test)
    peer = try TLSPeer(ends.test, name: name, version: version)
    let first = try first ?? peer.takeOutput()
    session = try #require(TLSSession(context, on: ends.reactor, first: first, countedBy: .unbounded))
  }

  deinit {
    unsafe buffer.deallocate()
    close(ends.reactor)
    close(ends.test)
  }

  /// Reads as long as there is something.
  func read(atMost most: Int = 1 << 15) {
    repeat {
      let count = unsafe session.read(into: buffer, atMost: most)
      guard count > 0 else {
        last = (count, errno)
        if count < 0, errno == EAGAIN, session.holdsInput { continue }
        return
      }
      received += unsafe Array(buffer[..<count])
    } while true
  }

  func establish() throws {
    for _ in 0..<8 where !session.isEstablished {
      read()
      try peer.exchange()
    }
    read()
    // A client learns of the end of TLS 1.2 with the server's last flight.
    try peer.exchange()
  }

  func write(_ bytes: [UInt8]) -> Int {
    unsafe bytes.withUnsafeBytes { unsafe session.write($0) }
  }
}
