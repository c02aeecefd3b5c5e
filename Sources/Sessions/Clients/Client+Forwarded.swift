import Bytes
import GatewayConfig
import Transport
import WebSocketCore

extension Client {
  /// Whether a field describes the client of a proxy.
  static func isForwarding(_ name: String) -> Bool {
    switch name.utf8.count {
    case 9: name == "forwarded"
    case 15: name == "x-forwarded-for"
    case 16: name == "x-forwarded-host"
    case 17: name == "x-forwarded-proto"
    default: false
    }
  }

  /// The client of a trusted proxy, as described by the forwarding fields. Fields that cannot be read are ignored.
  ///
  /// The addresses are read from the right, where the nearest proxy has added its own, and trusted proxies are skipped, so
  /// nothing that the client itself wrote is believed. `Forwarded` (RFC 7239) counts only without an `X-Forwarded-` field,
  /// because most proxies that write these pass on a client's `Forwarded`.
  ///
  /// - Parameter fields: the fields of the request, with names in lower case.
  func believed(_ fields: some Sequence<HeaderField>, trusting proxies: TrustedProxies) -> Client {
    guard !proxies.isEmpty, proxies.contains(peer) else { return self }
    let told = fields.filter { Self.isForwarding($0.name) }
    guard !told.isEmpty else { return self }
    let hops: ForwardedHops? =
      told.contains { $0.name != "forwarded" }
      ? ForwardedHops(xForwarded: told) : ForwardedHops(forwarded: told)
    guard let hops else { return self }
    var client = self
    // The client has its own address now, which has no place yet.
    client.place = nil
    var passed = 0
    for node in hops.nodes.reversed() {
      guard let node = node.flatMap(ForwardedHops.Node.init) else { break }
      client.peer = .tcp(node.address, port: node.port)
      guard proxies.contains(node.address) else { break }
      passed += 1
    }
    // Each proxy has added at most one value, or has left the existing one.
    func value(_ list: [String?]) -> String? {
      list.isEmpty ? nil : list[max(list.count - 1 - passed, 0)]
    }
    if let isSecure = value(hops.schemes).flatMap(ForwardedHops.isSecure) { client.isSecure = isSecure }
    if let host = value(hops.hosts), ForwardedHops.isHost(host) { client.forwardedHost = host }
    return client
  }
}

/// The entries of proxies about a request, the nearest proxy's last.
private struct ForwardedHops {
  /// For each proxy, where it received the request from; nil if it does not say.
  var nodes: [String?] = []
  var schemes: [String?] = []
  var hosts: [String?] = []

  init(xForwarded fields: [HeaderField]) {
    nodes = fields.members(of: "x-forwarded-for")
    schemes = fields.members(of: "x-forwarded-proto")
    hosts = fields.members(of: "x-forwarded-host")
  }

  /// RFC 7239 section 4. Nil if the field does not follow its grammar, or has a parameter twice in one element.
  init?(forwarded fields: [HeaderField]) {
    for value in fields.values(of: "forwarded") {
      var reader = FieldReader(value)
      while true {
        guard let element = reader.element() else { return nil }
        nodes.append(element["for"])
        schemes.append(element["proto"])
        hosts.append(element["host"])
        guard reader.take(",") else { break }
      }
      guard reader.isAtEnd else { return nil }
    }
  }

  /// Some proxies write `wss` for a WebSocket handshake.
  static func isSecure(_ scheme: String) -> Bool? {
    guard scheme.utf8.count <= 5 else { return nil }
    switch scheme.lowercased() {
    case "https", "wss": return true
    case "http", "ws": return false
    default: return nil
    }
  }

  static func isHost(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 300 && RequestHead.fault(inHosts: [text], minorVersion: 1) == nil
  }

  /// `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`, the first and the last also with a port.
  struct Node {
    var address: IPAddress
    /// 0 if it is not known.
    var port = 0

    init?(_ text: String) {
      guard text.utf8.count <= 64 else { return nil }
      if let address = IPAddress(text) {
        self.address = address
        return
      }
      var host = text[...]
      if text.utf8.last != UInt8(ascii: "]"), let end = text.utf8.lastIndex(of: UInt8(ascii: ":")) {
        let digits = text[end...].dropFirst()
        port = UInt16(digits: digits).map(Int.init) ?? 0
        // RFC 7239 section 6: a port may be a name that hides it.
        guard port > 0 || digits.utf8.first == UInt8(ascii: "_") else { return nil }
        host = text[..<end]
      }
      guard let address = Self.address(host) else { return nil }
      self.address = address
    }

    private static func address(_ host: Substring) -> IPAddress? {
      guard host.utf8.first == UInt8(ascii: "["), host.utf8.last == UInt8(ascii: "]") else {
        return host.utf8.contains(UInt8(ascii: ":")) ? nil : IPAddress(host)
      }
      let inner = host.dropFirst().dropLast()
      return inner.utf8.contains(UInt8(ascii: ":")) ? IPAddress(inner) : nil
    }
  }
}

extension FieldReader {
  /// forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ); its names in lower case.
  fileprivate mutating func element() -> [String: String]? {
    var pairs: [String: String] = [:]
    skipSpace()
    repeat {
      if isAtEnd || isAt(",") || isAt(";") { continue }
      guard let name = token()?.lowercased(), takeExactly("="), let value = token() ?? quoted(),
        pairs.updateValue(value, forKey: name) == nil
      else { return nil }
    } while take(";")
    return pairs
  }
}
