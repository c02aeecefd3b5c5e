package import Bytes

extension GroupPresence {
  /// What the members of a group know of each other, for the process that takes this one's place.
  package struct State: Sendable, Recorded {
    package var group = ""
    /// The users that the members know of.
    var announced: [String] = []
    var anonymous = 0
    /// The number of the last notice.
    var pass = 0

    init(group: String) { self.group = group }

    package init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: group = try field.text()
        case 2: announced.append(try field.text())
        case 3: anonymous = try field.count()
        case 4: pass = try field.integer(in: 0...(1 << 62))
        default: break
        }
      }
    }

    package func write(to record: inout RecordWriter) {
      record.add(1, text: group)
      for user in announced { record.addAlways(2, text: user) }
      record.add(3, anonymous)
      record.add(4, pass)
    }
  }
}
