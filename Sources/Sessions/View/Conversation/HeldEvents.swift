import Bytes
import Transport

/// What the groups have for a client that is not let in yet. It follows what the view says at *connect*.
final class HeldEvents {
  private let frames = SharedBytes(capacity: 256)
  private let limit: Int
  /// An event has asked for the end; what comes after it is for nobody.
  private(set) var closing: (code: UInt16, reason: String)?

  /// - Parameter limit: in bytes.
  init(limit: Int) {
    self.limit = limit
  }

  /// - Returns: false where it is too much.
  func add(_ more: SharedBytes, from offset: Int) -> Bool {
    guard closing == nil else { return true }
    guard frames.count + more.count - offset <= limit else { return false }
    more.read { frames.append($0.extracting(offset..<$0.byteCount)) }
    return true
  }

  func close(code: UInt16, reason: String) {
    if closing == nil { closing = (code, reason) }
  }

  /// The frames that came; nil if none did.
  var waiting: SharedBytes? { frames.count > 0 ? frames : nil }
}
