import Bytes
import Transport
import WebSocketCore

/// The common data of all crews of a run.
struct Plan: Sendable {
  let load: Load
  /// What the connections of the load speak with.
  let main: Destination
  /// The other one of `publish` and `events`: the listeners', or where events are published.
  let other: Destination?
  /// Identifies the messages of this run.
  let run = UInt32.random(in: Stamp.runs)
  let sources = SourceAddresses()
  /// The crew of the publishers; nil for that crew itself.
  var publishers: Mailbox<Crew.Order>?

  init(_ load: Load, against target: Target) throws(BenchFailure) {
    self.load = load
    main = try Destination(target, for: load)
    other =
      switch load.work {
      case .publish:
        try load.listeners.map { (listeners) throws(BenchFailure) in
          try Destination(listeners.target, for: load)
        }
      case .events:
        try load.publishing.map { (target) throws(BenchFailure) in try Destination(target, for: load) }
      case .echo, .fanOut, .connect, .idle: nil
      }
  }

  /// Where messages are published.
  var publishing: Destination {
    if case .events = load.work { other ?? main } else { main }
  }

  /// What all connections speak with that do not publish.
  var receiving: Destination {
    if case .publish = load.work { other ?? main } else { main }
  }

  /// What is sent again and again: a frame, or a request.
  var message: PreparedMessage {
    let target = publishing.target
    guard target.speech == .publishing else { return PreparedMessage(load.message) }
    return PreparedMessage(load.message) { length in
      var head =
        "POST \(target.requestTarget) HTTP/1.1\r\nHost: \(target.authority)\r\nContent-Length: \(length)\r\n"
      if !load.fields.contains(where: { $0.name.lowercased() == "content-type" }) {
        head += "Content-Type: application/json\r\n"
      }
      if let token = load.token { head += "Authorization: Bearer \(token)\r\n" }
      for field in load.fields { head += "\(field.name): \(field.value)\r\n" }
      return OpaqueText.bytes(of: head + "\r\n")
    }
  }

  /// The run in the stamps of messages with which publishers begin; nobody counts them.
  var openingRun: UInt32 { (run + 1) % Stamp.runs.upperBound }

  /// With several threads publishers that are told when to send have a thread of their own; with one thread they share it with the
  /// subscribers.
  var crews: Int { load.threads + (publishingCrew < load.threads ? 0 : 1) }

  var publishingCrew: Int { load.pace != nil && load.threads > 1 ? load.threads : 0 }

  /// The connections of one crew, of so many.
  func share(of index: Int, _ count: Int) -> StrideTo<Int> {
    stride(from: index, to: index < load.threads ? count : index, by: load.threads)
  }
}
