import Bytes
import GatewayConfig

/// The header of the PROXY protocol, versions 1 and 2, with which a proxy for byte streams reports the address of its client
/// (haproxy.org/download/3.2/doc/proxy-protocol.txt).
struct ProxyHeader: Equatable {
  /// The client's address; nil if the proxy does not know it, or connects for itself.
  var client: Source?
  /// Whether the client used TLS with the proxy; nil if the proxy does not say.
  var isSecure: Bool?
  /// The length of the header, in bytes.
  var length: Int

  enum Source: Equatable {
    case address(IPAddress, port: Int)
    case unix
  }

  enum Reading: Equatable {
    /// More bytes are needed.
    case incomplete
    /// Why the bytes are not a header.
    case malformed(String)
    case complete(ProxyHeader)
  }

  /// Of version 1, including the line end (section 2.1).
  static let longestLine = 107
  /// Of version 2, including everything in it. The format allows 65,551 bytes; proxies send fewer than 1,024.
  static let longestBlock = 4096

  private static let word = Array("PROXY ".utf8)
  private static let signature: [UInt8] = [
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
  ]

  /// - Parameter bytes: the first bytes of the connection, at least `longestBlock` of them if there are more.
  static func read(_ bytes: [UInt8]) -> Reading {
    if begins(bytes, with: signature) {
      return bytes.count < signature.count ? .incomplete : readBlock(bytes)
    }
    guard begins(bytes, with: word) else {
      return .malformed("the connection does not begin with a PROXY protocol header")
    }
    return bytes.count < word.count ? .incomplete : readLine(bytes)
  }

  /// Whether the two are equal up to the end of the shorter one.
  private static func begins(_ bytes: [UInt8], with expected: [UInt8]) -> Bool {
    (0..<min(bytes.count, expected.count)).allSatisfy { bytes[$0] == expected[$0] }
  }
}

// MARK: - Version 1, section 2.1

extension ProxyHeader {
  private static func readLine(_ bytes: [UInt8]) -> Reading {
    let line = bytes[word.count..<min(bytes.count, longestLine)].prefix { $0 != 0x0D }
    guard line.allSatisfy({ (0x20...0x7E).contains($0) }) else {
      return .malformed("the PROXY protocol line has bytes that are not printable ASCII")
    }
    let end = line.endIndex
    if end == bytes.count, end < longestLine { return .incomplete }
    guard end + 1 < longestLine else {
      return .malformed("the PROXY protocol line is longer than \(longestLine) bytes")
    }
    guard end + 1 < bytes.count else { return .incomplete }
    guard bytes[end + 1] == 0x0A else { return .malformed("the PROXY protocol line does not end in CR LF") }
    return readWords(line, length: end + 2)
  }

  private static func readWords(_ line: ArraySlice<UInt8>, length: Int) -> Reading {
    let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
    // The rest of the line must be ignored.
    if words[0] == "UNKNOWN" { return .complete(ProxyHeader(length: length)) }
    guard words[0] == "TCP4" || words[0] == "TCP6" else {
      return .malformed("the PROXY protocol line names a protocol that is not TCP4, TCP6 or UNKNOWN")
    }
    let isV4 = words[0] == "TCP4"
    func address(_ text: String) -> IPAddress? {
      text.utf8.contains(UInt8(ascii: ":")) == isV4 ? nil : IPAddress(text)
    }
    guard words.count == 5, let client = address(words[1]), address(words[2]) != nil,
      let from = port(words[3]), port(words[4]) != nil
    else { return .malformed("the PROXY protocol line does not hold two addresses and two ports") }
    return .complete(ProxyHeader(client: .address(client, port: from), length: length))
  }

  private static func port(_ text: String) -> Int? {
    guard (1...5).contains(text.utf8.count), text.utf8.count == 1 || text.utf8.first != UInt8(ascii: "0")
    else { return nil }
    return UInt16(digits: text[...]).map(Int.init)
  }
}

// MARK: - Version 2, section 2.2

extension ProxyHeader {
  private static let headLength = 16

  private static func readBlock(_ bytes: [UInt8]) -> Reading {
    guard bytes.count > signature.count else { return .incomplete }
    let command = bytes[12]
    guard command >> 4 == 2 else {
      return .malformed("the PROXY header has the version \(command >> 4), and only 1 and 2 are supported")
    }
    guard command & 0xF <= 1 else {
      return .malformed("the command of the PROXY header is neither LOCAL nor PROXY")
    }
    guard bytes.count >= headLength else { return .incomplete }
    let length = headLength + Int(bytes[14]) << 8 + Int(bytes[15])
    guard length <= longestBlock else {
      return .malformed("the PROXY header is longer than \(longestBlock) bytes")
    }
    guard bytes.count >= length else { return .incomplete }
    // LOCAL: the proxy itself has connected, to see whether the server answers.
    guard command & 0xF == 1 else { return .complete(ProxyHeader(length: length)) }
    return readAddresses(of: bytes[13], bytes[headLength..<length], length: length)
  }

  private static func readAddresses(of family: UInt8, _ block: ArraySlice<UInt8>, length: Int) -> Reading {
    var header = ProxyHeader(length: length)
    let size: Int
    switch family {
    case 0x00: return .complete(header)
    case 0x11: size = 4
    case 0x21: size = 16
    case 0x31: size = 108
    default:
      return .malformed(
        "the PROXY header names an address family or protocol that is unknown, or is not one of a stream")
    }
    let addresses = 2 * size + (family == 0x31 ? 0 : 4)
    guard block.count >= addresses else {
      return .malformed("the PROXY header is too short for its addresses")
    }
    if family == 0x31 {
      header.client = .unix
    } else if let address = IPAddress(networkOrder: block.prefix(size)) {
      let port = block.dropFirst(2 * size).prefix(2).reduce(0) { $0 << 8 | Int($1) }
      header.client = .address(address, port: port)
    }
    guard readExtensions(block.dropFirst(addresses), into: &header) else {
      return .malformed("the data after the addresses of the PROXY header is not a list of TLVs")
    }
    return .complete(header)
  }

  /// Section 2.2.6: the type `PP2_TYPE_SSL`, and its bit for a client that used TLS.
  private static let typeTLS: UInt8 = 0x20
  private static let clientTLS: UInt8 = 0x01

  /// Type, length and value, one after the other.
  private static func readExtensions(_ block: ArraySlice<UInt8>, into header: inout ProxyHeader) -> Bool {
    var rest = block
    while let type = rest.first {
      guard rest.count >= 3 else { return false }
      let size = rest.dropFirst().prefix(2).reduce(0) { $0 << 8 | Int($1) }
      let value = rest.dropFirst(3).prefix(size)
      guard value.count == size else { return false }
      if type == typeTLS {
        guard let flags = value.first, size >= 5 else { return false }
        header.isSecure = flags & clientTLS != 0
      }
      rest = rest.dropFirst(3 + size)
    }
    return true
  }
}
