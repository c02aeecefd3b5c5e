/// An IP address. An IPv4 address is equal to its IPv4-mapped form, `::ffff:192.0.2.1` (RFC 4291 section 2.5.5.2).
public struct IPAddress: Sendable, Hashable {
  /// The first half of the IPv6 form, in the machine's byte order.
  let high: UInt64
  let low: UInt64

  private static let mapped: UInt64 = 0xFFFF << 32

  /// The longest possible text: eight groups, or six groups and an IPv4 address.
  private static let longestText = 45

  public var isV4: Bool { high == 0 && low >> 32 == 0xFFFF }

  /// 127.0.0.0/8 or `::1`.
  public var isLoopback: Bool { isV4 ? low >> 24 & 0xFF == 127 : high == 0 && low == 1 }

  /// Whether no packet with it comes from the Internet: an address of this machine, or of a private network (RFC 1918, RFC
  /// 4193, RFC 3927).
  public var isPrivate: Bool {
    guard isV4 else { return isLoopback || high >> 57 == 0x7E || high >> 54 == 0x3FA }
    switch (low >> 24 & 0xFF, low >> 16 & 0xFF) {
    case (10, _), (127, _), (192, 168), (169, 254), (172, 16...31): return true
    default: return false
    }
  }

  /// The smallest unit that a network provider gives to one customer: an IPv4 address, or the /64 of an IPv6 address.
  public var site: IPAddress { isV4 ? self : IPAddress(high: high, low: 0) }
}

extension IPAddress {
  /// An IPv4 address; its first byte is the highest one.
  public init(v4 bits: UInt32) {
    self.init(high: 0, low: Self.mapped | UInt64(bits))
  }

  /// The bytes of an address in network order: 4 or 16 of them.
  public init?(networkOrder bytes: some Collection<UInt8>) {
    func number(_ part: some Collection<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
    switch bytes.count {
    case 4: self.init(v4: UInt32(number(bytes)))
    case 16: self.init(high: number(bytes.prefix(8)), low: number(bytes.dropFirst(8)))
    default: return nil
    }
  }

  /// The bytes of the IPv6 form.
  public var networkOrder: [UInt8] {
    [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) } }
  }

  // MARK: - As text

  /// Reads `192.0.2.1` or `2001:db8::1`. Numbers with leading zeros in IPv4, zones (`%eth0`), ports and brackets are refused.
  public init?(_ text: some StringProtocol) {
    guard text.utf8.count <= Self.longestText else { return nil }
    let bytes = Array(text.utf8)
    guard bytes.contains(UInt8(ascii: ":")) else {
      guard let bits = Self.v4(bytes[...]) else { return nil }
      self.init(v4: bits)
      return
    }
    // RFC 4291 section 2.2: two colons stand for as many groups of zeros as are missing.
    let gap = bytes.firstRange(of: [UInt8(ascii: ":"), UInt8(ascii: ":")])
    guard let head = Self.groups(bytes[..<(gap?.lowerBound ?? bytes.endIndex)], isEnd: gap == nil),
      let tail = Self.groups(bytes[(gap?.upperBound ?? bytes.endIndex)...], isEnd: true)
    else { return nil }
    let missing = 8 - head.count - tail.count
    guard gap == nil ? missing == 0 : missing > 0 else { return nil }
    let groups = head + Array(repeating: 0, count: missing) + tail
    func number(_ part: ArraySlice<UInt16>) -> UInt64 { part.reduce(0) { $0 << 16 | UInt64($1) } }
    self.init(high: number(groups[..<4]), low: number(groups[4...]))
  }

  /// Four numbers from 0 to 255.
  private static func v4(_ text: ArraySlice<UInt8>) -> UInt32? {
    let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bits: UInt32 = 0
    for part in parts {
      guard part.count == 1 || part.first != UInt8(ascii: "0"), part.allSatisfy(\.isDigit),
        let number = UInt8(String(decoding: part, as: UTF8.self))
      else { return nil }
      bits = bits << 8 | UInt32(number)
    }
    return bits
  }

  /// Groups of one to four hexadecimal digits, with colons between them.
  ///
  /// - Parameter isEnd: whether the last two of them can be an IPv4 address.
  private static func groups(_ text: ArraySlice<UInt8>, isEnd: Bool) -> [UInt16]? {
    guard !text.isEmpty else { return [] }
    let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    var groups: [UInt16] = []
    for part in parts {
      if let group = UInt16(hexadecimal: String(decoding: part, as: UTF8.self)), part.count <= 4 {
        groups.append(group)
      } else if isEnd, part.endIndex == text.endIndex, let bits = v4(part) {
        groups += [UInt16(bits >> 16), UInt16(bits & 0xFFFF)]
      } else {
        return nil
      }
    }
    return groups
  }
}

extension IPAddress: CustomStringConvertible {
  /// `192.0.2.1`, or the form of RFC 5952: lower case, and the longest run of zero groups left out.
  public var description: String {
    guard !isV4 else { return [24, 16, 8, 0].map { "\(low >> $0 & 0xFF)" }.joined(separator: ".") }
    let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> (48 - 16 * ($0 % 4))) }
    var run = 0..<0
    var start = 0
    for (index, group) in groups.enumerated() {
      if group != 0 { start = index + 1 }
      if index + 1 - start > max(run.count, 1) { run = start..<(index + 1) }
    }
    func text(_ part: ArraySlice<UInt16>) -> String {
      part.map { String($0, radix: 16) }.joined(separator: ":")
    }
    return run.isEmpty
      ? text(groups[...]) : text(groups[..<run.lowerBound]) + "::" + text(groups[run.upperBound...])
  }
}

/// A range of addresses that begin with the same bits: `10.0.0.0/8`, or one address.
public struct IPNetwork: Sendable, Hashable {
  public let address: IPAddress
  /// How many bits of the IPv6 form belong to the network: 0 to 128. For IPv4 it is 96 more than written.
  let length: Int

  /// Why a text is not a network.
  public enum Fault: Error, Equatable {
    case notAnAddress
    /// The part after the slash is not a number that fits the address.
    case badLength
    /// Bits after the network's part are set; the network that was probably meant.
    case bitsBehind(IPNetwork)
  }

  public func contains(_ other: IPAddress) -> Bool { other.masked(to: length) == address }

  /// Whether the network contains every address of its family.
  public var isEverything: Bool { length == 0 || length == 96 && address == IPAddress(v4: 0) }
}

extension IPNetwork {
  /// An address of the network that none of the others contains; nil if there is none. Takes time in proportion to their number.
  public func address(outsideOf others: some Sequence<IPNetwork>) -> IPAddress? {
    if others.contains(where: { $0.length <= length && $0.contains(address) }) { return nil }
    let inside = others.filter { $0.length > length && contains($0.address) }
    guard !inside.isEmpty else { return address }
    let bit = UInt64(1) << UInt64(63 - length % 64)
    let upper =
      length < 64
      ? IPAddress(high: address.high | bit, low: address.low)
      : IPAddress(high: address.high, low: address.low | bit)
    return IPNetwork(address: address, length: length + 1).address(outsideOf: inside)
      ?? IPNetwork(address: upper, length: length + 1).address(outsideOf: inside)
  }
}

extension IPNetwork {
  /// Reads `ADDRESS` or `ADDRESS/LENGTH`.
  public init(_ text: String) throws(Fault) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let address = IPAddress(first) else { throw .notAnAddress }
    // A network in IPv6 notation counts as IPv6 even if its address is IPv4. With fewer than 96 bits it contains more than IPv4.
    let isV4 = address.isV4 && !first.utf8.contains(UInt8(ascii: ":"))
    var length = 128
    if parts.count == 2 {
      let digits = parts[1]
      guard (1...3).contains(digits.utf8.count), digits.isOfDigits, let number = Int(digits),
        number <= (isV4 ? 32 : 128)
      else { throw .badLength }
      length = number + (isV4 ? 96 : 0)
    }
    let network = IPNetwork(address: address.masked(to: length), length: length)
    guard network.address == address else { throw .bitsBehind(network) }
    self = network
  }
}

extension IPNetwork: CustomStringConvertible {
  public var description: String {
    let written = address.isV4 && length >= 96 ? length - 96 : length
    return written == (address.isV4 ? 32 : 128) ? "\(address)" : "\(address)/\(written)"
  }
}

extension IPAddress {
  fileprivate func masked(to length: Int) -> IPAddress {
    func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(.max >> UInt64(bits)) }
    return IPAddress(high: high & mask(length), low: low & mask(length - 64))
  }
}
