import Bytes
package import ChannelLayers
import JSON
package import Transport
import WebSocketCore

/// How the position of an event is added to its frame.
enum Numbering {
  /// `{"id": ..., and the members of the frame}`: for an object without an `id` of its own.
  case member
  /// `{"id": ..., "event": the frame}`
  case wrapped
  /// `{"id": ..., "text": the frame}` or `"bytes"` in base64: for frames that need not be JSON.
  case message
}

/// Renders a route's events for sessions that asked for positions: each frame contains the position of its event.
///
/// An event without a position, which no history keeps, has the same frame as for other sessions.
package final class NumberedRenderer: EventRenderer, Sendable {
  private let consumer: Consumer

  package init(_ consumer: Consumer) {
    self.consumer = consumer
  }

  package func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering {
    guard let position = event.position else { return consumer.render(event, for: address, into: frames) }
    if event.type == Event.historyType {
      let text = #"{"history": {"id": "\#(position)", "gap": \#(event["gap"] == .json(.bool(true)))}}"#
      frames.appendFrame(.text, Array(text.utf8).rawBytes)
      return .frames
    }
    let plain = SharedBytes(capacity: 4096)
    let rendering = consumer.render(event, for: address, into: plain)
    let numbering = consumer.numbering(of: event)
    plain.read { bytes in
      var start = 0
      while let frame = ServerFrame(bytes, at: start) {
        append(
          frame.opcode, bytes.extracting(frame.payload), numbering, behind: #"{"id": "\#(position)", "#,
          to: frames)
        start = frame.payload.upperBound
      }
    }
    return rendering
  }

  private func append(
    _ opcode: Opcode, _ payload: RawSpan, _ numbering: Numbering, behind head: String, to frames: SharedBytes
  ) {
    var text = Array(head.utf8)
    text.reserveCapacity(head.utf8.count + payload.byteCount + 16)
    switch numbering {
    case .member:
      // An object without members leaves only the closing brace.
      if payload.byteCount == 2 { text.removeLast(2) }
      text += [UInt8](copying: payload.extracting(1..<payload.byteCount))
    case .wrapped:
      text += Array(#""event": "#.utf8) + [UInt8](copying: payload) + [UInt8(ascii: "}")]
    case .message:
      switch opcode {
      case .binary: text += Array(#""bytes": "\#(Base64.encode([UInt8](copying: payload)))"}"#.utf8)
      default:
        text += Array(#""text": "#.utf8)
        JSONText.append(string: String(decoding: [UInt8](copying: payload), as: UTF8.self), to: &text)
        text.append(UInt8(ascii: "}"))
      }
    }
    frames.appendFrame(.text, text.rawBytes)
  }
}
