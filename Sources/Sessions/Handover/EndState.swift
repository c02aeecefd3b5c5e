package import Bytes
import ChannelLayers

/// The end of a session that its view was not told yet, and that no layer keeps, as a record.
package struct EndState: Sendable, Recorded {
  /// The name of its route.
  var route = ""
  var address = ""
  /// `EndedRecord`, as it is kept in a layer.
  var content: [UInt8] = []

  init(_ report: ViewReport) {
    (route, address) = (report.record.route, report.record.address)
    content = EndedRecord(record: report.record, end: report.end, id: report.id).encoded()
  }

  package init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: route = try field.text()
      case 2: address = try field.text()
      case 3: content = try field.bytes()
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: route)
    record.add(2, text: address)
    record.add(3, content)
  }
}

extension ViewLedger {
  /// For the process that takes this one's place. What a layer keeps is read there.
  package var handedEnds: [EndState] { reportsInMemory.map(EndState.init) }

  /// Tells the ends that another process was not able to tell. The question is the same: its view may have had it already.
  ///
  /// - Returns: how many cannot be told, as their routes are gone or are other ones.
  package func resume(_ ends: [EndState]) -> Int {
    ends.count { end in
      guard let route = route(named: end.route) else { return true }
      let kept = TakenRecord(
        place: .init(lot: "", address: end.address), kind: route.recordKind, content: end.content,
        lastSign: nil)
      guard let found = try? FoundRecord(kept, on: route) else { return true }
      add(ViewReport(record: found.record, end: found.end, id: found.id ?? ViewQuestionID.next()), on: route)
      return false
    }
  }
}
