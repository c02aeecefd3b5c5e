import Bytes
import WebSocketCore

/// What the messages in a member's frames say; nil where it could not read them.
package func texts(_ bytes: [UInt8], inflating: Bool) -> [String]? {
  final class Sink: FrameSink {
    var texts: [String] = []
    func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
      texts.append(String(decoding: [UInt8](copying: payload), as: UTF8.self))
      return .proceed
    }
    func ping(_ payload: RawSpan) -> Flow { .proceed }
    func pong(_ payload: RawSpan) -> Flow { .proceed }
    func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow { .stop }
  }
  let inflater = Inflater(windowBits: 15, context: .none, scratch: Scratch())
  var decoder = MessageDecoder(maximumMessage: 1 << 20, from: .server, inflater: inflating ? inflater : nil)
  let sink = Sink()
  var bytes = bytes
  var span = bytes.mutableSpan
  var raw = unsafe span.mutableBytes
  do throws(ProtocolViolation) {
    try decoder.decode(&raw, into: sink)
  } catch {
    return nil
  }
  return sink.texts
}
