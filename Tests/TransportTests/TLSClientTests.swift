import FoundationEssentials
import Glibc
import TestSupport
import Testing

@testable import Transport

/// The certificate of the tests as a PEM file, while the body runs.
private func withCertificateFile<Result>(_ body: (String) throws -> Result) throws -> Result {
  let path = temporaryPath() + ".pem"
  let encoded = Data(TLSContext.Certificate.ofTests.chain[0]).base64EncodedString()
  let lines = stride(from: 0, to: encoded.count, by: 64).map { encoded.dropFirst($0).prefix(64) }
  let text = "-----BEGIN CERTIFICATE-----\n\(lines.joined(separator: "\n"))\n-----END CERTIFICATE-----\n"
  try text.write(toFile: path, atomically: true, encoding: .utf8)
  defer { unsafe unlink(path) }
  return try body(path)
}

/// What a client is told that sends "hello" to a server which echoes, until it has an answer or the end.
///
/// - Parameter server: nil for a server that speaks no TLS.
private func whatIsTold(
  _ server: TLSContext?, trusting trust: TLSContext.Trust, name: String = "localhost"
) throws -> [String] {
  let context = try TLSContext(forClientsTrusting: trust)
  let ends = try tcpPair()
  setNonBlocking(ends.test)
  let told = Reports<String>()
  try withReactor({ reactor in
    let echoing = Handler()
    echoing.onReceived = { connection, bytes in connection.write(bytes.bytes) }
    echoing.connection = reactor.adopt(Descriptor(adopting: ends.reactor), handler: echoing, tls: server)
    let client = Client(told)
    client.connection = reactor.adopt(
      Descriptor(adopting: ends.test), handler: client, tls: context, connectingTo: name)
  }) { _ in
    _ = told.wait(for: 2)
  }
  return told.values
}

private final class Client: ConnectionHandler {
  var connection: Connection?
  private let told: Reports<String>

  init(_ told: Reports<String>) {
    self.told = told
  }

  func established() {
    told.add("established")
    connection?.write(Array("hello".utf8))
  }

  func received(_ bytes: inout MutableRawSpan) {
    told.add(String(decoding: [UInt8](copying: bytes.bytes), as: UTF8.self))
  }

  func peerFinished() {
    connection?.abort()
  }

  func drained() {}

  func closed(_ reason: ConnectionEnd) {
    let fault = connection?.tlsFault
    told.add(fault.map { "\($0.isAboutTrust ? "distrust" : "fault"): \($0.reason)" } ?? "closed")
    told.add("end")
    connection = nil
  }
}

struct TLSClientTests {
  @Test(arguments: [TLSContext.MinimumVersion.tls12, .tls13], ["localhost", "127.0.0.1", "elsewhere"])
  func `a client that trusts anybody is answered`(_ version: TLSContext.MinimumVersion, _ name: String) throws
  {
    let told = try whatIsTold(.ofTests(minimum: version), trusting: .anybody, name: name)
    #expect(told.prefix(2) == ["established", "hello"])
  }

  @Test func `a certificate in a file is trusted, for its name only`() throws {
    try withCertificateFile { path in
      #expect(try whatIsTold(.ofTests(), trusting: .file(path)).prefix(2) == ["established", "hello"])
      for (name, words) in [("elsewhere", "hostname mismatch"), ("127.0.0.1", "IP address mismatch")] {
        let told = try whatIsTold(.ofTests(), trusting: .file(path), name: name)
        #expect(told.first == "distrust: \(words)")
      }
    }
  }

  @Test func `a certificate that nobody has signed is not trusted`() throws {
    #expect(try whatIsTold(.ofTests(), trusting: .system).first == "distrust: self-signed certificate")
  }

  @Test func `an authority of the same name with another key is not trusted`() throws {
    let server = try TLSContext([.ofAnotherAuthority], minimum: .tls12) { _ in 0 }
    let told = try withCertificateFile { try whatIsTold(server, trusting: .file($0)) }
    #expect(told.first == "distrust: certificate signature failure")
  }

  @Test func `a server without TLS is a fault`() throws {
    #expect(try whatIsTold(nil, trusting: .anybody).first?.hasPrefix("fault: ") == true)
  }

  @Test func `a file that cannot be read is told`() {
    #expect(throws: TLSContext.Fault.self) { try TLSContext(forClientsTrusting: .file("/nowhere.pem")) }
  }

  @Test func `the name is sent, an address is not`() throws {
    for (name, expected) in [("localhost", ["localhost"]), ("127.0.0.1", []), ("::1", [])] {
      let asked = Reports<String>()
      let context = try TLSContext.ofTests { name in
        asked.add(name)
        return 0
      }
      _ = try whatIsTold(context, trusting: .anybody, name: name)
      #expect(asked.values == expected)
    }
  }
}
