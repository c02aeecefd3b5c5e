import ChannelLayers

/// The sessions of one route that have not ended, each with where its record is. A pure value.
///
/// There are few such places, mostly one, and many sessions: the sessions are kept by place.
struct NotedSessions {
  private struct Part {
    /// Nil where no records are kept.
    let records: (any SessionRecords)?
    var addresses: Set<String> = []
  }

  /// None of them is empty.
  private var parts: [Part] = []

  var isEmpty: Bool { parts.isEmpty }
  var count: Int { parts.reduce(0) { $0 + $1.addresses.count } }
  var addresses: [String] { parts.flatMap(\.addresses) }

  /// Notes where the record of a session is from now on.
  ///
  /// - Returns: where it was before, if that is another place.
  mutating func move(_ address: String, to records: (any SessionRecords)?) -> (any SessionRecords)? {
    if let index = index(of: records), parts[index].addresses.contains(address) { return nil }
    let old = remove(address)
    if let index = index(of: records) {
      parts[index].addresses.insert(address)
    } else {
      parts.append(Part(records: records, addresses: [address]))
    }
    return old
  }

  private func index(of records: (any SessionRecords)?) -> Int? {
    parts.firstIndex { $0.records === records }
  }

  /// - Returns: where its record is.
  mutating func remove(_ address: String) -> (any SessionRecords)? {
    // In place: a copy of all addresses would cost milliseconds.
    for index in parts.indices where parts[index].addresses.remove(address) != nil {
      let records = parts[index].records
      if parts[index].addresses.isEmpty { parts.remove(at: index) }
      return records
    }
    return nil
  }
}
