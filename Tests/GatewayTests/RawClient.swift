import Foundation
import Glibc
import Synchronization

/// A blocking client that says exactly what it is told to.
final class RawClient: Sendable {
  struct Failure: Error {
    var what: String
  }

  private let descriptor: Int32

  /// - Parameter window: what the system takes for the client before it reads; nil for the system's own measure. Bytes.
  init(port: Int, window: Int32? = nil) throws {
    descriptor = socket(AF_INET, 1, 0)
    if var window {
      _ = unsafe setsockopt(
        descriptor, SOL_SOCKET, SO_RCVBUF, &window, socklen_t(MemoryLayout<Int32>.size))
    }
    var time = timeval(tv_sec: 20, tv_usec: 0)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    // A `sockaddr_in`, byte by byte: with NIO in the same tests its fields belong to a module of NIO's.
    let family = unsafe withUnsafeBytes(of: sa_family_t(AF_INET)) { unsafe Array($0) }
    let address =
      family + [UInt8(port >> 8), UInt8(port & 0xFF), 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
    let status = unsafe address.withUnsafeBytes {
      unsafe connect(
        descriptor, $0.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: sockaddr.self),
        socklen_t(address.count))
    }
    guard status == 0 else { throw Failure(what: "connect: \(errno)") }
  }

  convenience init(port: Int, path: String) throws {
    try self.init(port: port)
    try upgrade(path: path)
  }

  deinit { _ = Glibc.close(descriptor) }

  func upgrade(path: String, extensions: String? = nil) throws {
    try send(
      "GET \(path) HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        + (extensions.map { "Sec-WebSocket-Extensions: \($0)\r\n" } ?? "") + "\r\n")
    let head = try receiveHead()
    guard head.hasPrefix("HTTP/1.1 101") else { throw Failure(what: head) }
  }

  func send(_ text: String) throws {
    try send(Array(text.utf8))
  }

  func send(_ bytes: [UInt8]) throws {
    let sent = unsafe bytes.withUnsafeBytes {
      unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    guard sent == bytes.count else { throw Failure(what: "send: \(errno)") }
  }

  /// A masked text frame of less than 126 bytes.
  func send(text: String) throws {
    let mask: [UInt8] = [1, 2, 3, 4]
    let payload = text.utf8.enumerated().map { $1 ^ mask[$0 % 4] }
    try send([0x81, 0x80 | UInt8(payload.count)] + mask + payload)
  }

  func receive(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = unsafe bytes.withUnsafeMutableBytes {
        unsafe recv(descriptor, $0.baseAddress.unsafelyUnwrapped + done, count - done, 0)
      }
      guard got > 0 else { throw Failure(what: "the connection ended") }
      done += got
    }
    return bytes
  }

  func receiveText() throws -> String {
    let head = try receive(2)
    return String(decoding: try receive(Int(head[1])), as: UTF8.self)
  }

  /// Of any length.
  func receiveLongText() throws -> String {
    String(decoding: try receiveFrame().payload, as: UTF8.self)
  }

  func receive(upTo end: String) throws -> String {
    var bytes: [UInt8] = []
    while !bytes.suffix(end.utf8.count).elementsEqual(end.utf8) { bytes += try receive(1) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The first byte of a frame, and its payload.
  func receiveFrame() throws -> (first: UInt8, payload: [UInt8]) {
    let head = try receive(2)
    var length = Int(head[1])
    if length == 126 { length = try receive(2).reduce(0) { $0 << 8 | Int($1) } }
    if length == 127 { length = try receive(8).reduce(0) { $0 << 8 | Int($1) } }
    return (head[0], try receive(length))
  }

  func receiveHead() throws -> String {
    try receive(upTo: "\r\n\r\n")
  }

  /// Cuts the cable: whatever comes is dropped before the system acknowledges it (`SO_ATTACH_FILTER`, socket(7)).
  func vanish() {
    // BPF_RET | BPF_K with 0, and a `sock_fprog` of it.
    var instruction: UInt64 = 0x06
    unsafe withUnsafeMutablePointer(to: &instruction) { instruction in
      var program: (count: UInt64, filter: UInt64) = (1, UInt64(UInt(bitPattern: instruction)))
      _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, 16)
    }
  }

  /// Whether the server's end of the connection is established still, as only this machine's own system knows.
  func isServed(by port: Int) throws -> Bool {
    var name = [UInt8](repeating: 0, count: 16)
    var size = socklen_t(name.count)
    let own = unsafe name.withUnsafeMutableBytes { bytes -> UInt16 in
      _ = unsafe getsockname(
        descriptor, bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: sockaddr.self), &size)
      return unsafe UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    }
    let file = FileHandle(forReadingAtPath: "/proc/net/tcp")
    let table = String(decoding: try file?.readToEnd() ?? Data(), as: UTF8.self)
    return table.split(separator: "\n").contains { line in
      let parts = line.split(separator: " ")
      return parts.count > 3 && parts[1].hasSuffix(Self.hexadecimal(UInt16(port)))
        && parts[2].hasSuffix(Self.hexadecimal(own)) && parts[3] == "01"
    }
  }

  private static func hexadecimal(_ port: UInt16) -> String {
    let digits = String(port, radix: 16, uppercase: true)
    return ":" + String(repeating: "0", count: 4 - digits.count) + digits
  }

  func close() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

  /// The status of the answer to one request.
  static func status(port: Int, _ request: String) throws -> Int? {
    let client = try RawClient(port: port)
    try client.send(request)
    return try client.receiveHead().split(separator: " ").dropFirst().first.flatMap { Int($0) }
  }
}

/// Runs blocking calls on a thread of their own: the pool's threads are few, and the gateway's HTTP side needs them.
func offThePool(_ body: @escaping @Sendable () throws -> Void) async throws {
  try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
    Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
  }
}

/// Waits, on such a thread, for what the gateway does.
func waiting(for work: @escaping @Sendable () async throws -> Void) throws {
  let done = DispatchSemaphore(value: 0)
  let failure = Mutex<(any Error)?>(nil)
  Task {
    do { try await work() } catch { failure.withLock { $0 = error } }
    done.signal()
  }
  done.wait()
  if let error = failure.withLock({ $0 }) { throw error }
}
