package import Bytes
import ChannelLayers
import GatewayConfig
import Sessions

/// All that a gateway hands to the process that takes its place.
package struct GatewayRecord: Sendable, Recorded {
  /// The form that this version writes. It grows when a reader of the form before could not go on with a record.
  static let form: UInt64 = 1
  private static let mark = "sluice sessions"
  /// The field of a worker's part.
  static let worker = 6

  /// The version that has written it, for people.
  package var version = ""
  var listeners: [InheritedListener] = []
  /// Those for commands.
  var commands: [InheritedCommandSocket] = []
  var layers: [LayerState] = []
  /// In layers that were not used any more, and not removed yet.
  var remains: [LayerRemains] = []
  /// The part of each worker (`WorkerState`), to be read on the reactor that goes on with it.
  var workers: [ArraySlice<UInt8>] = []
  /// How often the process has executed a program.
  var upgrades: UInt64 = 0
  /// When the process before has stopped; nanoseconds of the monotonic clock.
  var stoppedAt: UInt64 = 0
  var orders: [OrderState] = []
  var answers: [IdempotencyTable.State] = []
  /// Of sessions whose views were not told them yet.
  var ends: [EndState] = []
  /// Orders that were lifted, and that a layer may still keep.
  var lifted: [StandingOrders.Lift] = []
  var rates: RateState?
  /// Of each worker, in the order of `workers`: what has to be closed where its part cannot be read.
  var connections: [HandedConnections] = []

  /// What was served, and what was before the last reload; nil where there was none.
  var served: ConfigurationFiles?
  var previous: ConfigurationFiles?

  init() {}

  package init(from record: inout RecordReader) throws(RecordedFault) {
    var isMarked = false
    while let field = try record.next() {
      // What a later field means is not known where the form is not.
      guard isMarked || field.number == 1 else { throw RecordedFault("it was not written by Sluice") }
      switch field.number {
      case 1: isMarked = try field.text() == Self.mark
      case 2: try Self.check(try field.unsigned())
      case 3: version = try field.text()
      case 4: listeners.append(try field.record())
      case 5: layers.append(try field.record())
      case Self.worker: workers.append(try field.slice())
      case 7: orders.append(try field.record())
      case 8: answers.append(try field.record())
      case 9: stoppedAt = try field.time()
      case 10: upgrades = UInt64(try field.count())
      case 11: served = try field.record()
      case 12: previous = try field.record()
      case 13: ends.append(try field.record())
      case 14: lifted.append(try field.record())
      case 15: rates = try field.record()
      case 16: commands.append(try field.record())
      case 17: remains.append(try field.record())
      case 18: connections.append(try field.record())
      default: break
      }
    }
    guard isMarked else { throw RecordedFault("it was not written by Sluice") }
  }

  private static func check(_ form: UInt64) throws(RecordedFault) {
    guard form <= Self.form else {
      throw RecordedFault(
        "it has form \(form), and this version of Sluice reads form \(Self.form): it was written by a newer one"
      )
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: Self.mark)
    record.add(2, Self.form)
    record.add(3, text: version)
    for listener in listeners { record.add(4, listener) }
    for layer in layers { record.add(5, layer) }
    for worker in workers { record.add(Self.worker, Array(worker)) }
    for order in orders { record.add(7, order) }
    for answer in answers { record.add(8, answer) }
    record.add(9, stoppedAt)
    record.add(10, upgrades)
    if let served { record.add(11, served) }
    if let previous { record.add(12, previous) }
    for end in ends { record.add(13, end) }
    for lift in lifted { record.add(14, lift) }
    if let rates { record.add(15, rates) }
    for socket in commands { record.add(16, socket) }
    for left in remains { record.add(17, left) }
    for list in connections { record.add(18, list) }
  }

  /// The paths of the files that were named on the command line of the process, from the root on.
  ///
  /// - Parameter overlays: how many files were laid over the first one.
  /// - Returns: nil where it does not say all of them in this way.
  package func namedFiles(besides overlays: Int) -> (path: String, overlays: [String])? {
    guard let served, served.overlays.count == overlays,
      ([served.path] + served.overlays).allSatisfy({ $0.hasPrefix("/") || Disk.isStandardInput($0) })
    else { return nil }
    return (served.path, served.overlays)
  }

  /// Reads what another process has written.
  package static func read(_ bytes: [UInt8]) throws(RecordedFault) -> GatewayRecord {
    try RecordReader.read(bytes[...])
  }
}
