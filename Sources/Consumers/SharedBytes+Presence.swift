import Bytes
import ChannelLayers
import Transport
import WebSocketCore

extension SharedBytes {
  /// Appends a presence event as `{"presence": ...}`. Its content never comes from outside of the process.
  func appendPresence(_ event: Event) -> Rendering {
    guard case .encodedJSON(let text)? = event[Event.presenceField] else { return .ignored }
    appendFrame(.text, prefix: #"{"presence": "#, payload: text.rawBytes, suffix: "}")
    return .frames
  }
}
