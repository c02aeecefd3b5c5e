import Bytes
import Sessions

extension IdempotencyTable {
  /// An answer that is kept, for the process that takes this one's place.
  struct State: Recorded {
    var route = ""
    var user: String?
    var text = ""
    var digest: [UInt8] = []
    var answer = Answer(status: 200, body: [])
    /// Nanoseconds since it was given.
    var age: UInt64 = 0

    init(_ key: Key, _ digest: [UInt8], _ answer: Answer, age: UInt64) {
      (route, user, text) = (key.route, key.user?.text, key.text.text)
      (self.digest, self.answer, self.age) = (digest, answer, age)
    }

    init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: route = try field.text()
        case 2: user = try field.text()
        case 3: text = try field.text()
        case 4: digest = try field.bytes()
        case 5: answer.status = try field.integer(in: 100...599)
        case 6: answer.body = try field.bytes()
        case 7: age = try field.time()
        default: break
        }
      }
    }

    func write(to record: inout RecordWriter) {
      record.add(1, text: route)
      if let user { record.addAlways(2, text: user) }
      record.add(3, text: text)
      record.add(4, digest)
      record.add(5, answer.status)
      record.add(6, answer.body)
      record.add(7, age)
    }

    var key: Key { Key(route: route, user: user, text: text) }
  }
}

/// An order that holds for a time, as a record.
struct OrderState: Recorded {
  var subject = ""
  var text = ""

  init(_ order: StandingOrder) { (subject, text) = (order.subject.text, order.text) }

  init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: subject = try field.text()
      case 2: text = try field.text()
      default: break
      }
    }
  }

  func write(to record: inout RecordWriter) {
    record.add(1, text: subject)
    record.add(2, text: text)
  }

  /// Nil for one that says nothing.
  var order: StandingOrder? { StandingOrder.Subject(subject).flatMap { StandingOrder($0, text) } }
}
