import Bytes

extension SessionRecord.State {
  init(from record: inout RecordReader) throws(RecordedFault) {
    var name = ""
    while let field = try record.next() {
      switch field.number {
      case 1: name = try field.text()
      case 2: facts[name] = try field.text()
      case 3: startedAt = try field.time()
      case 4: received.messages = try field.count()
      case 5: received.bytes = try field.count()
      case 6: sent.messages = try field.count()
      case 7: sent.bytes = try field.count()
      case 8: ending = (try field.text(), 1005, "")
      case 9: ending?.code = try field.integer()
      case 10: ending?.reason = try field.text()
      default: break
      }
    }
  }

  func write(to record: inout RecordWriter) {
    for (name, value) in facts {
      record.addAlways(1, text: name)
      record.addAlways(2, text: value)
    }
    record.add(3, startedAt)
    record.add(4, received.messages)
    record.add(5, received.bytes)
    record.add(6, sent.messages)
    record.add(7, sent.bytes)
    guard let ending else { return }
    record.addAlways(8, text: ending.side)
    record.add(9, UInt64(ending.code))
    record.add(10, text: ending.reason)
  }
}
