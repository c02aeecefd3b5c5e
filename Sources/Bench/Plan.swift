import Transport

/// The common data of all crews of a run.
struct Plan: Sendable {
  let target: Target
  let load: Load
  let address: ServerAddress
  /// Identifies the messages of this run.
  let run = UInt32.random(in: Stamp.runs)
  let sources = SourceAddresses()
  /// The crew of the publishers; nil for that crew itself.
  var publishers: Mailbox<Crew.Order>?

  /// With several threads the publishers have a thread of their own; with one thread they share it with the subscribers.
  var crews: Int { load.threads + (publishingCrew < load.threads ? 0 : 1) }

  var publishingCrew: Int { load.publishers > 0 && load.threads > 1 ? load.threads : 0 }

  /// The connections of one crew.
  func share(of index: Int) -> StrideTo<Int> {
    stride(from: index, to: index < load.threads ? load.connections : index, by: load.threads)
  }
}
