package import Bytes

/// The records of sessions that a process keeps on one server of a layer, for the process that takes its place: only where they are.
package struct RecordLots: Sendable, Recorded, Equatable {
  /// Records that are kept together, and that one process has as a whole.
  package struct Lot: Sendable, Recorded, Equatable {
    package var name = ""
    package var kind = ""
    /// Whether another process had it, which has ended.
    package var isTaken = false
    /// The last sign of life of that process, by its clock. Seconds since 1970.
    package var lastSign: Double?

    package init(_ name: String, of kind: String, isTaken: Bool = false, lastSign: Double? = nil) {
      (self.name, self.kind, self.isTaken, self.lastSign) = (name, kind, isTaken, lastSign)
    }

    package init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: name = try field.text()
        case 2: kind = try field.text()
        case 3: isTaken = try field.flag()
        case 4: lastSign = try field.double()
        default: break
        }
      }
    }

    package func write(to record: inout RecordWriter) {
      record.add(1, text: name)
      record.add(2, text: kind)
      record.add(3, isTaken)
      if let lastSign { record.addAlways(4, lastSign.bitPattern) }
    }
  }

  /// The name of the process among those that keep records.
  package var process: String
  /// How many lots it has lost.
  package var lost: Int
  package var lots: [Lot] = []

  package init(of process: String, lost: Int) {
    (self.process, self.lost) = (process, lost)
  }

  package init(from record: inout RecordReader) throws(RecordedFault) {
    (process, lost) = ("", 0)
    while let field = try record.next() {
      switch field.number {
      case 1: process = try field.text()
      case 2: lost = try field.count()
      case 3: lots.append(try field.record())
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: process)
    record.add(2, lost)
    for lot in lots { record.add(3, lot) }
  }
}
