import Transport

/// What the crews of a run have in common.
struct Plan: Sendable {
  let target: Target
  let load: Load
  let address: ServerAddress
  /// Marks the messages of this run.
  let run = UInt32.random(in: Stamp.runs)
  /// Where the publishers are; nil for their own crew.
  var publishers: Mailbox<Crew.Order>?

  /// The connections of one crew.
  func share(of index: Int) -> StrideTo<Int> {
    stride(from: index, to: load.connections, by: load.threads)
  }

  func postToPublishers(_ order: Crew.Order) {
    publishers?.post(order)
  }
}
