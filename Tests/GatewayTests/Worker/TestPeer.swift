import Glibc
import TestSupport
import WebSocketCore

@testable import Transport

/// The other end of one of the gateway's connections: a client, or an upstream. Nothing here waits: it sends what the kernel takes,
/// and hears what has come.
final class TestPeer {
  private let descriptor: Int32
  /// A client masks its frames, and expects frames without a mask; an upstream does the reverse.
  private let isClient: Bool
  private var isOpen = true
  private var unread: ArraySlice<UInt8> = []
  /// `end`, or `reset`; nil while the connection lives.
  private var ending: String?
  private var isEndTold = false

  /// All bytes that have come.
  private(set) var received = 0

  private static let mask: [UInt8] = [1, 2, 3, 4]

  /// Becomes the owner of the descriptor.
  init(_ descriptor: Int32, isClient: Bool) {
    setNonBlocking(descriptor)
    // Another test may start a process, which would keep the connection open.
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    self.descriptor = descriptor
    self.isClient = isClient
  }

  deinit { hangUp() }

  /// Closes the connection, whatever was not read.
  func hangUp() {
    guard isOpen else { return }
    isOpen = false
    _ = shutdown(descriptor, Int32(SHUT_RDWR))
    _ = Glibc.close(descriptor)
  }

  /// Sends nothing more, and goes on reading.
  func finish() {
    _ = shutdown(descriptor, Int32(SHUT_WR))
  }

  // MARK: - Sending

  /// - Returns: how many of the bytes the kernel took.
  @discardableResult
  func send(_ bytes: some Sequence<UInt8>) -> Int {
    let bytes = Array(bytes)
    return unsafe bytes.withUnsafeBytes {
      unsafe max(0, Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)))
    }
  }

  func send(_ text: String) { send(text.utf8) }

  func text(_ text: String) { send(frame(.text, Array(text.utf8))) }

  func close(_ code: UInt16, _ reason: String = "") {
    send(frame(.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + reason.utf8))
  }

  /// One frame as this end sends it.
  ///
  /// - Parameters:
  ///   - isLast: whether the message has no further fragments.
  ///   - isMasked: nil for what the protocol wants of this end.
  func frame(
    _ opcode: Opcode, _ payload: [UInt8] = [], isLast: Bool = true, isMasked: Bool? = nil
  ) -> [UInt8] {
    let isMasked = isMasked ?? isClient
    var frame = [(isLast ? 0x80 : 0) | opcode.rawValue]
    let mark: UInt8 = isMasked ? 0x80 : 0
    switch payload.count {
    case 0..<126: frame.append(mark | UInt8(payload.count))
    case 126..<65536: frame += [mark | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    default: frame += [mark | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
    }
    guard isMasked else { return frame + payload }
    frame += Self.mask + payload
    for index in payload.indices { frame[frame.count - payload.count + index] ^= Self.mask[index % 4] }
    return frame
  }

  // MARK: - Hearing

  /// The frames that have come since the last call, as words: `text hello`, `close 1000 bye`, `pong`; at last `end` or `reset`.
  func heard() -> [String] {
    read()
    var words: [String] = []
    while let frame = nextFrame() { words.append(frame) }
    guard let ending, !isEndTold else { return words }
    isEndTold = true
    return words + (unread.isEmpty ? [ending] : ["part of a frame", ending])
  }

  /// The head of a request or an answer, without the empty line; nil until it is complete.
  func head() -> String? {
    read()
    let mark = Array("\r\n\r\n".utf8)
    guard let end = unread.firstRange(of: mark) else { return nil }
    defer { unread = unread[end.upperBound...] }
    return String(decoding: unread[..<end.lowerBound], as: UTF8.self)
  }

  /// All bytes that have come since the last call, as text.
  func plain() -> String {
    read()
    defer { unread = [] }
    return String(decoding: unread, as: UTF8.self)
  }

  /// Whether the gateway has ended the connection.
  var isOver: Bool {
    read()
    return ending != nil
  }

  private func read() {
    var chunk = [UInt8](repeating: 0, count: 65536)
    while isOpen, ending == nil {
      let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
      guard count > 0 else {
        if count == 0 { ending = "end" } else if errno != EAGAIN { ending = "reset" }
        return
      }
      received += count
      unread += chunk[..<count]
    }
  }

  private func nextFrame() -> String? {
    guard unread.count >= 2 else { return nil }
    let (first, second) = (unread[unread.startIndex], unread[unread.startIndex + 1])
    var rest = unread.dropFirst(2)
    var length = Int(second & 0x7F)
    if length > 125 {
      let size = length == 126 ? 2 : 8
      guard rest.count >= size else { return nil }
      length = rest.prefix(size).reduce(0) { $0 << 8 | Int($1) }
      rest = rest.dropFirst(size)
    }
    let isMasked = second & 0x80 != 0
    let mask = Array(rest.prefix(isMasked ? 4 : 0))
    rest = rest.dropFirst(mask.count)
    guard mask.count == (isMasked ? 4 : 0), rest.count >= length else { return nil }
    var payload = Array(rest.prefix(length))
    if isMasked { for index in payload.indices { payload[index] ^= mask[index % 4] } }
    unread = rest.dropFirst(length)
    let words = Self.words(first, payload)
    return isMasked == isClient ? "wrongly masked: " + words : words
  }

  private static func words(_ first: UInt8, _ payload: [UInt8]) -> String {
    guard first & 0xF0 == 0x80, let opcode = Opcode(rawValue: first & 0x0F) else {
      return "odd frame \(first)"
    }
    var words = "\(opcode)"
    var rest = payload[...]
    if opcode == .close, payload.count >= 2 {
      words += " \(Int(payload[0]) << 8 | Int(payload[1]))"
      rest = payload[2...]
    }
    guard !rest.isEmpty else { return words }
    return words + " " + (rest.count > 200 ? "of \(rest.count)" : String(decoding: rest, as: UTF8.self))
  }
}
