public import Bytes
import Routing
import Transport
public import WebSocketCore

/// What views are asked again about a session, as a record (`StandingQuestion`).
struct StandingState: Recorded {
  var credentials: Credentials
  /// When each view is asked next. Nanoseconds of the monotonic clock.
  var due: [StandingQuestion.View: UInt64] = [:]

  init(_ standing: StandingQuestion) {
    credentials = standing.credentials
    due = standing.times.due.mapValues(\.nanoseconds)
  }

  init(from record: inout RecordReader) throws(RecordedFault) {
    credentials = Credentials(fields: [], host: "", client: Client(peer: .unix, isSecure: false))
    while let field = try record.next() {
      switch field.number {
      case 1: credentials.fields.append(try field.record())
      case 2: credentials.query = try field.text()
      case 3: credentials.subprotocols.append(try field.text())
      case 4: credentials.host = try field.text()
      case 5: credentials.client = try field.record()
      case 6: credentials.takesMessage = try field.flag()
      case 7: credentials.request = try field.record()
      case 8: due[.callback] = try field.time()
      case 9: due[.permission] = try field.time()
      default: break
      }
    }
  }

  func write(to record: inout RecordWriter) {
    for field in credentials.fields { record.add(1, field) }
    if let query = credentials.query { record.addAlways(2, text: query) }
    for name in credentials.subprotocols { record.addAlways(3, text: name) }
    record.add(4, text: credentials.host)
    record.add(5, credentials.client)
    record.add(6, credentials.takesMessage)
    record.add(7, credentials.request)
    if let time = due[.callback] { record.addAlways(8, time) }
    if let time = due[.permission] { record.addAlways(9, time) }
  }

  /// The question in this process.
  var question: StandingQuestion {
    let question = StandingQuestion(credentials)
    question.times.due = due.mapValues(MonotonicTime.init(nanoseconds:))
    return question
  }
}

extension HeaderField: Recorded {
  public init(from record: inout RecordReader) throws(RecordedFault) {
    var (name, value) = ("", "")
    while let field = try record.next() {
      switch field.number {
      case 1: name = try field.text()
      case 2: value = try field.text()
      default: break
      }
    }
    self.init(name: name, value: value)
  }

  public func write(to record: inout RecordWriter) {
    record.add(1, text: name)
    record.add(2, text: value)
  }
}

extension RequestPlace: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    self.init()
    var all: [Captures.Capture] = []
    while let field = try record.next() {
      switch field.number {
      case 1: method = try field.text()
      case 2: target = try field.bytes()
      case 3: all.append(try field.record())
      case 4: ownParameters.append(try field.text())
      default: break
      }
    }
    captures = Captures(all)
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: method)
    record.add(2, target)
    for capture in captures.all { record.add(3, capture) }
    for name in ownParameters { record.addAlways(4, text: name) }
  }
}

/// Without its place, which each session has of its own.
extension Client: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    self.init(peer: .unix, isSecure: false)
    var address: IPAddress?
    var (port, zone) = (0, UInt32(0))
    while let field = try record.next() {
      switch field.number {
      case 1: address = try field.address()
      case 2: port = try field.integer(in: 0...65535)
      case 3: zone = try field.integer()
      case 4: isSecure = try field.flag()
      case 5: forwardedHost = try field.text()
      case 6: isBehindProxyHeader = try field.flag()
      default: break
      }
    }
    if let address { peer = .tcp(address, port: port, zone: zone) }
  }

  package func write(to record: inout RecordWriter) {
    if case .tcp(let address, let port, let zone) = peer {
      record.add(1, address.networkOrder)
      record.add(2, port)
      record.add(3, UInt64(zone))
    }
    record.add(4, isSecure)
    if let forwardedHost { record.addAlways(5, text: forwardedHost) }
    record.add(6, isBehindProxyHeader)
  }
}

extension RecordField {
  func address() throws(RecordedFault) -> IPAddress {
    guard let address = IPAddress(networkOrder: try slice()) else {
      throw RecordedFault("field \(number) is no address")
    }
    return address
  }
}
