import Foundation
import Glibc
import Synchronization

/// A server on a thread of its own that answers each request head with what it is told to, and knows nothing of HTTP.
///
/// Made for one client that asks one thing after another; the client may open a new connection each time, or use one again.
final class ScriptedServer: Sendable {
  let port: Int
  private let listener: Int32
  private let next: Mutex<HostileAnswer>
  private let isOver = Mutex(false)
  private let ended = DispatchSemaphore(value: 0)

  init(_ first: HostileAnswer) throws {
    next = Mutex(first)
    let listener = socket(AF_INET, 1, 0)
    self.listener = listener
    // A `sockaddr_in`, byte by byte, as in `RawClient`.
    let family = unsafe withUnsafeBytes(of: sa_family_t(AF_INET)) { unsafe Array($0) }
    var address = family + [0, 0, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
    var length = socklen_t(address.count)
    let isBound = unsafe address.withUnsafeMutableBytes { bytes in
      let place = unsafe bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: sockaddr.self)
      guard unsafe bind(listener, place, length) == 0, listen(listener, 64) == 0 else { return false }
      return unsafe getsockname(listener, place, &length) == 0
    }
    guard isBound else { throw RawClient.Failure(what: "listen: \(errno)") }
    port = Int(address[2]) << 8 | Int(address[3])
    Thread.detachNewThread { [self] in serve() }
  }

  /// What the next request gets.
  func answer(with answer: HostileAnswer) {
    next.withLock { $0 = answer }
  }

  /// Returns when the thread has ended.
  func stop() {
    isOver.withLock { $0 = true }
    ended.wait()
  }

  /// A connection, and what of a request has come on it.
  private struct Conversation {
    var socket: Int32
    var heard: [UInt8] = []
    /// Whether it is closed as soon as the client has nothing more to say: what it waits for will not come.
    var isSpoilt = false
  }

  /// Milliseconds.
  private static let patience: Int32 = 4

  private func serve() {
    var conversations: [Conversation] = []
    while !isOver.withLock(\.self) {
      var polled = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
      polled += conversations.map { pollfd(fd: $0.socket, events: Int16(POLLIN), revents: 0) }
      let count = unsafe poll(&polled, nfds_t(polled.count), Self.patience)
      var left: [Conversation] = []
      for (index, conversation) in conversations.enumerated() {
        var conversation = conversation
        if polled[index + 1].revents != 0 ? hear(&conversation) : count > 0 || !conversation.isSpoilt {
          left.append(conversation)
        } else {
          close(conversation.socket)
        }
      }
      conversations = left
      if polled[0].revents != 0 {
        let socket = accept(listener, nil, nil)
        if socket >= 0 { conversations.append(Conversation(socket: socket)) }
      }
    }
    for conversation in conversations { close(conversation.socket) }
    close(listener)
    ended.signal()
  }

  /// - Returns: false where the connection is over.
  private func hear(_ conversation: inout Conversation) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 16384)
    let count = unsafe recv(conversation.socket, &buffer, buffer.count, 0)
    guard count > 0 else { return false }
    conversation.heard += buffer.prefix(count)
    // Heads only: the bodies of these tests have no empty line.
    guard Self.hasHead(conversation.heard) else { return true }
    conversation.heard = []
    let answer = next.withLock(\.self)
    for piece in answer.pieces {
      let sent = unsafe send(conversation.socket, piece, piece.count, Int32(MSG_NOSIGNAL))
      guard sent == piece.count else { return false }
    }
    switch answer.ending {
    case .keepsOpen:
      conversation.isSpoilt = !answer.isGood
      return true
    case .closes: return false
    case .resets:
      var linger = linger(l_onoff: 1, l_linger: 0)
      _ = unsafe setsockopt(
        conversation.socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
      return false
    }
  }

  private static func hasHead(_ bytes: [UInt8]) -> Bool {
    bytes.count >= 4 && (0...(bytes.count - 4)).contains { bytes[$0..<$0 + 4].elementsEqual("\r\n\r\n".utf8) }
  }
}
