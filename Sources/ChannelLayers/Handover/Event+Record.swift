public import Bytes
package import JSON

extension Event: Recorded {
  public init(from record: inout RecordReader) throws(RecordedFault) {
    self.init(type: "")
    while let field = try record.next() {
      switch field.number {
      case 1: type = try field.text()
      case 2: fields.append(try field.record())
      case 3: position = try field.record()
      default: break
      }
    }
  }

  public func write(to record: inout RecordWriter) {
    record.add(1, text: type)
    for field in fields { record.add(2, field) }
    if let position { record.add(3, position) }
  }
}

extension Event.Field: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    self.init("", .json(.null))
    while let field = try record.next() {
      switch field.number {
      case 1: name = try field.text()
      case 2: value = .json(try field.json())
      case 3: value = .encodedJSON(try field.bytes())
      case 4: value = .text(try field.bytes())
      case 5: value = .bytes(try field.bytes())
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: name)
    switch value {
    case .json(let value): record.add(2, json: value)
    case .encodedJSON(let text): record.addAlways(3, text)
    case .text(let text): record.addAlways(4, text)
    case .bytes(let bytes): record.addAlways(5, bytes)
    }
  }
}

extension EventPosition: Recorded {
  public init(from record: inout RecordReader) throws(RecordedFault) {
    self.init(epoch: 0, offset: 0)
    while let field = try record.next() {
      switch field.number {
      case 1: epoch = try field.integer()
      case 2: offset = try field.integer(in: 0...Self.largestOffset)
      default: break
      }
    }
  }

  public func write(to record: inout RecordWriter) {
    record.add(1, UInt64(epoch))
    record.add(2, offset)
  }
}

extension RecordField {
  package func json() throws(RecordedFault) -> JSON {
    let text = try bytes()
    do throws(JSONFault) {
      return try JSON.parse(text.rawBytes)
    } catch {
      throw RecordedFault("field \(number) is \(error)")
    }
  }
}

extension RecordWriter {
  package mutating func add(_ field: Int, json: JSON) {
    addAlways(field, json.bytes)
  }
}
