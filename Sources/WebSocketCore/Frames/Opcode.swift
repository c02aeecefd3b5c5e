/// The kinds of frame (RFC 6455 section 5.2).
public enum Opcode: UInt8, Sendable {
  case continuation = 0x0
  case text = 0x1
  case binary = 0x2
  case close = 0x8
  case ping = 0x9
  case pong = 0xA

  var isControl: Bool { rawValue & 0x8 != 0 }
}

public enum MessageKind: Sendable {
  case text
  case binary

  @inlinable
  public var opcode: Opcode {
    switch self {
    case .text: .text
    case .binary: .binary
    }
  }
}
