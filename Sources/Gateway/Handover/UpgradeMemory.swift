import ChannelLayers
import GatewayConfig
import Sessions
import Transport

/// How much memory an upgrade takes besides what the gateway has: an estimate that is rather too high. Without it the system might end the
/// gateway.
///
/// What is handed over is written into memory, and read by the program while this one has it, too.
struct UpgradeMemory: Equatable {
  /// What takes the memory.
  enum Step {
    /// The record, and the program that is tried with it.
    case trial
    /// The record. The program that is executed has the memory of the one before.
    case record
  }

  var sessions = 0
  /// What is kept in this process: the histories, and what was not sent or not read to the end yet. Bytes.
  var kept = 0
  /// The length of the file and of those that it includes. Bytes.
  var file = 0

  /// What a program takes with a short file, in bytes.
  private static let program = 16 << 20
  /// What it takes for each byte of the file: 140 in a long one, 200 in one of 74 kB.
  private static let perFileByte = 256
  /// What a session takes in the record, and in the program that has read it. Bytes.
  private static let perSession = (written: 1024, read: 4096)

  private var record: Int { kept + sessions * Self.perSession.written }

  func bytes(for step: Step) -> Int {
    // The record is written in pieces, which are there until they are in the file.
    let writing = 2 * record
    guard step == .trial else { return writing }
    let program = Self.program + Self.perFileByte * file
    return max(writing, 2 * record + kept + sessions * Self.perSession.read + program)
  }

  /// Nil where there is enough memory, or it is not known.
  func refusal(of step: Step, with free: FreeMemory? = .ofProcess()) -> UpgradeRefusal? {
    guard let free, free.bytes < bytes(for: step) else { return nil }
    let place = free.source == .machine ? "the machine" : "the control group of the process"
    return UpgradeRefusal(
      "it would take up to \(Self.text(bytes(for: step), .up)) of memory besides what the gateway has, and \(place) has \(Self.text(free.bytes, .down)) left: the system might end the gateway"
    )
  }

  func check(_ step: Step) throws(UpgradeRefusal) {
    if let refusal = refusal(of: step) { throw refusal }
  }

  private static func text(_ bytes: Int, _ rule: FloatingPointRoundingRule) -> String {
    "\(Int((Double(bytes) / Double(1 << 20)).rounded(rule))) MiB"
  }
}

extension UpgradeMemory {
  /// What it takes now.
  init(of server: GatewayServer) {
    let (gateway, process) = (server.gateway, server.gateway.process)
    sessions = process.counters.sessions.count
    kept =
      gateway.layers.historyMemory.usedBytes + process.sendMemory.budget.used
      + process.receiveMemory.budget.used
    file = server.configuration.written?.source.files.reduce(0) { $0 + $1.contents.count } ?? 0
  }
}
