import ChannelLayers
import Transport
import WebSocketCore

/// Renders a route's events for the members of a group with the same agreement on compression: compressed once for all of them.
///
/// Shared bytes cannot refer to earlier messages of one member, so all these members have agreed on
/// `server_no_context_takeover`.
final class DeflatingRenderer: EventRenderer {
  private static let largestKept = 256 * 1024

  private let renderer: any EventRenderer
  private let deflater: Deflater
  /// The frames without compression.
  private var plain = SharedBytes(capacity: 4096)

  init(_ renderer: any EventRenderer, _ deflater: Deflater) {
    self.renderer = renderer
    self.deflater = deflater
  }

  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    let rendering = renderer.render(event, for: receiver, into: plain)
    plain.read { deflate($0, into: frames) }
    plain.clear()
    if plain.capacity > Self.largestKept { plain = SharedBytes(capacity: 4096) }
    return rendering
  }

  var namesGroup: Bool { renderer.namesGroup }
  var selects: Bool { renderer.selects }
  func recipients(of event: Event, own: EventRecipients) -> EventRecipients? {
    renderer.recipients(of: event, own: own)
  }

  private func deflate(_ bytes: RawSpan, into frames: SharedBytes) {
    var start = 0
    while let frame = ServerFrame(bytes, at: start) {
      let isDeflated = deflater.deflate(bytes.extracting(frame.payload)) { payload in
        let header = FrameHeader(opcode: frame.opcode, payloadLength: payload.byteCount, isCompressed: true)
        frames.append(head: header.bytes, length: header.count, payload)
      }
      if !isDeflated { frames.append(bytes.extracting(start..<frame.payload.upperBound)) }
      start = frame.payload.upperBound
    }
  }
}
