import Bytes
import ChannelLayers
import JSON
package import Transport
package import WebSocketCore

extension SharedBytes {
  /// Appends one unfragmented server frame (RFC 6455 section 5.2).
  package func appendFrame(_ opcode: Opcode, _ payload: RawSpan) {
    let header = FrameHeader(opcode: opcode, payloadLength: payload.byteCount)
    append(head: header.bytes, length: header.count, payload)
  }

  /// Appends one frame whose payload is enclosed by two constant texts.
  func appendFrame(_ opcode: Opcode, prefix: StaticString, payload: RawSpan, suffix: StaticString) {
    let length = prefix.utf8CodeUnitCount + payload.byteCount + suffix.utf8CodeUnitCount
    let header = FrameHeader(opcode: opcode, payloadLength: length)
    append(head: header.bytes, length: header.count, prefix.rawBytes)
    append(payload)
    append(suffix.rawBytes)
  }

  /// Appends the event's `text` as a text frame or its `bytes` as a binary one.
  func appendMessage(of event: Event) -> Rendering {
    guard let (kind, payload) = event.message else { return .ignored }
    appendFrame(kind.opcode, payload.rawBytes)
    return .frames
  }
}
