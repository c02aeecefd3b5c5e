/// The records of sessions that a channel layer keeps for longer than this process lives, so that another process can take over what
/// this one leaves behind.
///
/// Can be called from any thread.
package protocol SessionRecords: AnyObject, Sendable {
  /// Who gets the records of other processes. Set once, before the layer runs.
  func connect(to owner: any SessionRecordsOwner)

  /// Keeps a record, or replaces it. While the layer is away, the last one of each address waits.
  ///
  /// - Parameter kept: called once, on any thread, within a few seconds: whether it is kept. If not, it is forgotten.
  func keep(_ record: KeptRecord, _ kept: (@Sendable (Bool) -> Void)?)

  /// Removes a record of this process.
  func drop(_ address: String)

  /// The records of this kind, and those to come, are of another one from now on.
  func rename(_ kind: String, to new: String)

  /// Something is about to be done for a record that was taken over.
  ///
  /// - Parameter begun: called once, on any thread.
  func begin(_ place: TakenRecord.Place, _ begun: @escaping @Sendable (TakenRecord.Beginning) -> Void)

  /// There is no room in memory for a record whose session has ended, or nobody any more who can tell of it. It stays, and its owner
  /// gets it as one that was taken over once it has room.
  func park(_ address: String)

  /// What had to be done for a record that was taken over is done, and it is removed.
  func finish(_ place: TakenRecord.Place)
}

/// One session's record in this process.
package struct KeptRecord: Sendable {
  /// The address of the session.
  package var address: String
  /// Which processes may take it over: those whose owner names the same kind. A few dozen plain characters.
  package var kind: String
  package var content: any RecordContent

  package init(address: String, kind: String, content: any RecordContent) {
    self.address = address
    self.kind = kind
    self.content = content
  }
}

package protocol RecordContent: Sendable {
  /// The bytes that are kept.
  func encoded() -> [UInt8]
}

/// A record of a process that seems to have ended.
package struct TakenRecord: Sendable, Equatable {
  /// Where it is kept.
  package struct Place: Sendable, Hashable {
    package var lot: String
    package var address: String

    package init(lot: String, address: String) {
      self.lot = lot
      self.address = address
    }
  }

  /// Whether something may be done for a record.
  package enum Beginning: Sendable {
    case begun
    /// Its process has come back and has it again, or it was dealt with.
    case gone
    /// The layer cannot be asked.
    case unavailable
  }

  package var place: Place
  package var kind: String
  /// Foreign bytes.
  package var content: [UInt8]
  /// The last sign of life of the process by its own clock, in seconds since 1970; nil if it is not known.
  package var lastSign: Double?

  package init(place: Place, kind: String, content: [UInt8], lastSign: Double?) {
    self.place = place
    self.kind = kind
    self.content = content
    self.lastSign = lastSign
  }
}

/// Who makes the records, and takes over those of other processes.
package protocol SessionRecordsOwner: AnyObject, Sendable {
  /// The kinds of records that this process can take over. What it has taken of another one is left to other processes again.
  var kinds: Set<String> { get }
  /// How many records of a kind it can take now.
  func room(for kind: String) -> Int

  func take(_ records: [TakenRecord], from records: any SessionRecords)

  /// Another process has dealt with records of sessions that live.
  func wereTaken(_ addresses: [String])
}
