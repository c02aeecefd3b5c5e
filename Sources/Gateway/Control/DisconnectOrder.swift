import Bytes
import ChannelLayers
import Consumers
import JSON
import Sessions

/// `{"type": "sluice.disconnect", "user": "5", "reason": "..."}`: end the sessions of a user.
struct DisconnectOrder: Sendable, Equatable {
  static let type = "sluice.disconnect"
  static let reason = CloseReason.disconnected.text
  /// The space in a close frame. Bytes.
  static let longestReason = 123

  var user: String
  var reason = Self.reason

  var event: Event {
    Event(
      type: Self.type,
      fields: [.init("user", .text(Array(user.utf8))), .init("reason", .text(Array(reason.utf8)))])
  }
}

extension DisconnectOrder {
  /// - Returns: nil for any other event.
  init?(_ event: Event) {
    guard event.handler == Self.type, let user = Self.name(event["user"]) else { return nil }
    self.user = user
    guard let reason = event["reason"]?.plainText, !reason.isEmpty else { return }
    // Cuts between code points. Forwards, because going back over the characters of foreign text takes quadratic time.
    var kept = String.UnicodeScalarView()
    var left = Self.longestReason
    for scalar in reason.unicodeScalars {
      left -= UTF8.width(scalar)
      guard left >= 0 else { break }
      kept.append(scalar)
    }
    self.reason = String(kept)
  }

  /// A user as text, or as the number that Django uses.
  private static func name(_ value: EventValue?) -> String? {
    switch value {
    case .text(let bytes)?: String(decoding: bytes, as: UTF8.self)
    case .json(.string(let text))?: text
    case .json(.integer(let number))?: String(number)
    default: nil
    }
  }

  /// For `init(line:)`; ends in a line feed.
  var line: [UInt8] {
    let order: JSON = [.string(user), .string(reason)]
    return order.bytes + "\n".utf8
  }

  init?(line: [UInt8]) {
    guard case .array(let parts)? = try? JSON.parse(line.rawBytes), parts.count == 2,
      case .string(let user) = parts[0], case .string(let reason) = parts[1]
    else { return nil }
    self.user = user
    self.reason = reason
  }
}
