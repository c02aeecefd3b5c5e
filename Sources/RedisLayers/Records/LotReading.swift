import ChannelLayers

/// How far a lot of records is read whose owner has ended, or for which there was no room in memory.
struct LotReading {
  private(set) var lot: RecordRegister.TakenLot
  /// Whether it is one of this process's own, with records that are here as well.
  let isOwn: Bool
  private(set) var part = RecordRegister.Part.begun
  private(set) var cursor = "0"
  private(set) var isAtEnd = false
  /// Those that were read and not dealt with yet.
  private var handed: Set<String> = []

  init(_ lot: RecordRegister.TakenLot, isOwn: Bool = false) {
    self.lot = lot
    self.isOwn = isOwn
  }

  var isDealtWith: Bool { isAtEnd && handed.isEmpty }

  /// A page was read.
  ///
  /// - Returns: the records that are news. Redis may give one twice, and gives those that are being dealt with.
  mutating func read(
    _ records: [(address: String, content: [UInt8])], next: String
  ) -> [(address: String, content: [UInt8])] {
    cursor = next
    if next == "0" {
      isAtEnd = part == .records
      part = .records
    }
    return records.filter { handed.insert($0.address).inserted }
  }

  mutating func dealtWith(_ address: String) { handed.remove(address) }

  /// The route of these records asks another view from now on.
  mutating func rename(_ kind: String, to new: String) {
    if isOwn, lot.kind == kind { lot.kind = new }
  }

  /// Something was left, or has come meanwhile.
  mutating func startAgain() {
    part = .begun
    cursor = "0"
    isAtEnd = false
  }
}
