import Bytes
import GatewayConfig
import Transport

/// A listening socket that is handed over.
struct InheritedListener: Recorded, Equatable {
  /// The address in the file, as it is written there.
  var address = ""
  /// The worker that accepts on it.
  var worker = 0
  var descriptor: Int32 = -1
  /// Whether a service manager has opened it, who also removes its file.
  var isLent = false
  /// The unit of the service manager; nil where it is not known.
  var unit: String?
  /// The address with the port that the system has chosen; empty where it is not known.
  var bound = ""
  /// Of a Unix socket that a gateway has opened; nil also where the program before did not say.
  var file: SocketFile?
  /// The permissions of that file, and its group, as the configuration has said them.
  var mode: UInt32?
  var group: String?
  /// What has been spoken there.
  var isSecure = false
  var hasProxyHeader = false

  init(_ address: BindAddress, worker: Int, descriptor: Int32, isLent: Bool = false) {
    self.address = "\(address)"
    (self.worker, self.descriptor, self.isLent) = (worker, descriptor, isLent)
  }

  init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: address = try field.text()
      case 2: worker = try field.integer(in: 0...Int(UInt16.max))
      case 3: descriptor = try field.integer()
      case 4: isLent = try field.flag()
      case 5: unit = try field.text()
      case 6: bound = try field.text()
      case 7: file = try field.record()
      case 8: mode = UInt32(try field.integer(in: 0...0o7777))
      case 9: group = try field.text()
      case 10: isSecure = try field.flag()
      case 11: hasProxyHeader = try field.flag()
      default: break
      }
    }
    guard descriptor > 2 else { throw RecordedFault("a listening socket has no descriptor") }
  }

  func write(to record: inout RecordWriter) {
    record.add(1, text: address)
    record.add(2, worker)
    record.add(3, Int(descriptor))
    record.add(4, isLent)
    if let unit { record.add(5, text: unit) }
    record.add(6, text: bound)
    if let file { record.add(7, file) }
    if let mode { record.addAlways(8, UInt64(mode)) }
    if let group { record.add(9, text: group) }
    record.add(10, isSecure)
    record.add(11, hasProxyHeader)
  }

  /// Whether it goes on at an address of the file. Where its own file is gone, nobody finds it.
  func isFound(at wanted: BindAddress) -> Bool {
    guard address == "\(wanted)" else { return false }
    guard case .unix(let path) = wanted, !isLent else { return true }
    return file.map { !$0.isGone } ?? (SocketFile(path: path) != nil)
  }

  /// What the configuration has said of its file.
  var options: BindOptions {
    var options = BindOptions()
    (options.mode, options.group) = (mode, group)
    return options
  }

  /// Where nobody listens any more, clients do not find a socket either.
  func close() {
    file?.remove()
    _ = Descriptor(adopting: descriptor)
  }
}

/// The connections of one worker.
struct HandedConnections: Recorded, Equatable {
  /// Sessions and event streams.
  var sessions = 0
  /// Also of servers behind the gateway.
  var descriptors: [Int32] = []

  init(sessions: Int, descriptors: [Int32]) {
    (self.sessions, self.descriptors) = (sessions, descriptors)
  }

  init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: sessions = try field.count()
      case 2: descriptors.append(try field.integer())
      default: break
      }
    }
  }

  func write(to record: inout RecordWriter) {
    record.add(1, sessions)
    for descriptor in descriptors { record.addAlways(2, UInt64(descriptor)) }
  }

  /// Ends the sessions that nobody goes on with.
  func close() {
    for descriptor in descriptors where descriptor > 2 { _ = Descriptor(adopting: descriptor) }
  }
}
