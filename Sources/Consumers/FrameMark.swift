import Bytes
import ChannelLayers
import JSON
import Transport
import WebSocketCore

/// A member that is added to the frames of an event: its position, or the group that it came from.
struct FrameMark {
  enum Form {
    /// `{"id": ..., and the members of the frame}`: for an object without a member of that name.
    case member
    /// `{"id": ..., "event": the frame}`
    case wrapped
    /// `{"id": ..., "text": the frame}` or `"bytes"` in base64: for frames that need not be JSON.
    case message
  }

  var name: String
  /// Without characters that JSON escapes.
  var value: String
  var form: Form

  /// Appends what the body renders, with the mark.
  func add(to frames: SharedBytes, _ render: (SharedBytes) -> Rendering) -> Rendering {
    let plain = SharedBytes(capacity: 4096)
    let rendering = render(plain)
    plain.read { bytes in
      var start = 0
      while let frame = ServerFrame(bytes, at: start) {
        append(frame.opcode, bytes.extracting(frame.payload), to: frames)
        start = frame.payload.upperBound
      }
    }
    return rendering
  }

  private func append(_ opcode: Opcode, _ payload: RawSpan, to frames: SharedBytes) {
    var text = Array(#"{"\#(name)": "\#(value)", "#.utf8)
    text.reserveCapacity(text.count + payload.byteCount + 16)
    switch form {
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
