package import ChannelLayers
package import Transport

/// Stands for a route: groups tell routes apart by an object.
package final class TestRoute {
  package init() {}

  package var id: ObjectIdentifier { ObjectIdentifier(self) }
}

/// Renders an event as its type. The type "close" closes the session, and "unknown" is ignored.
package struct TypeRenderer: EventRenderer {
  private let end: String

  /// - Parameter end: what follows each type, where a delivery may be of several events.
  package init(end: String = "") {
    self.end = end
  }

  package func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    if event.type == "close" { return .close(code: 4000, reason: "over") }
    if event.type == "unknown" { return .ignored }
    unsafe frames.append(Array((event.type + end).utf8).span.bytes)
    return .frames
  }
}

/// Ignores every event.
package struct DeafRenderer: EventRenderer {
  package init() {}

  package func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    .ignored
  }
}
