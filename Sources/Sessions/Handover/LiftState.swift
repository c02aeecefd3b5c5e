package import Bytes

extension StandingOrders.Lift: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    var (subject, order, time): (StandingOrder.Subject?, String?, Double) = (nil, nil, 0)
    while let field = try record.next() {
      switch field.number {
      case 1: subject = .init(try field.text())
      case 2: order = try field.text()
      case 3: time = try field.double()
      default: break
      }
    }
    guard let subject else { throw RecordedFault("a lifted order is about nothing") }
    self.init(subject, order.flatMap { StandingOrder(subject, $0) }, at: time)
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: subject.text)
    if let order { record.add(2, text: order.text) }
    record.addAlways(3, time.bitPattern)
  }
}
