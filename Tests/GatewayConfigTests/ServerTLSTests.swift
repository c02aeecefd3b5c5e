import Testing

@testable import GatewayConfig

struct ServerTLSTests {
  private let names = ServerNames([
    ["localhost"], ["example.com", "*.example.com"], ["api.example.com", "*.example.com"],
  ])

  @Test(arguments: [
    ("localhost", 0), ("example.com", 1), ("EXAMPLE.com", 1), ("example.com.", 1), ("www.example.com", 1),
    ("api.example.com", 2), ("a.b.example.com", nil), ("com", nil), (".example.com", nil), ("", nil),
    (".", nil),
    ("*.example.com", 1), ("other.org", nil),
  ])
  func `the name itself comes before a wildcard, which stands for one label`(_ row: (String, Int?)) {
    #expect(names.index(of: row.0) == row.1)
  }

  @Test func `without addresses of its own TLS is spoken everywhere`() {
    var server = ServerConfiguration()
    #expect(server.listeners.map(\.isSecure) == [false])
    server.tls = ServerTLS(
      bind: nil, minimumVersion: .tls12, certificates: [], source: Node(.sequence([]), at: Self.place))
    server.bind = [.tcp(host: "127.0.0.1", port: 1), .unix(path: "x")]
    #expect(server.listeners.map(\.isSecure) == [true, true])
    server.tls?.bind = [.tcp(host: "::", port: 443)]
    #expect(
      server.listeners == [
        .init(address: .tcp(host: "127.0.0.1", port: 1), isSecure: false),
        .init(address: .unix(path: "x"), isSecure: false),
        .init(address: .tcp(host: "::", port: 443), isSecure: true),
      ])
  }

  private static let place = SourceRange(
    file: SourceFile(path: "routes.yaml", text: []), start: .init(line: 1, column: 1),
    end: .init(line: 1, column: 1))
}
