package import Bytes
import JSON
import Sessions
import Transport

/// What executes another program in this process, and with which words.
package struct UpgradeOrder: Sendable {
  /// The program's file; nil for the one that this process executes.
  package var path: String?
  /// Of this process, with its name.
  package var arguments: [String]
  /// Of this process, `NAME=VALUE`.
  package var environment: [String]
  /// What makes the program try to take over, behind its name and before the arguments.
  package var trial: [String]
  /// The variable that names the inherited record in the program that takes over.
  package var variable: String
  /// For the log.
  package var version: String
  /// Waits until everything is written that was logged, and no longer than so long: whether it is.
  package var writeLog: @Sendable (Duration) -> Bool
  /// Does something while no signal is taken: what was taken before has been told, and the rest is left to the program.
  package var holdingSignals: @Sendable (() -> UpgradeRefusal) -> UpgradeRefusal

  package init(
    path: String?, arguments: [String], environment: [String], trial: [String], variable: String,
    version: String, writeLog: @escaping @Sendable (Duration) -> Bool,
    holdingSignals: @escaping @Sendable (() -> UpgradeRefusal) -> UpgradeRefusal
  ) {
    (self.path, self.arguments, self.environment) = (path, arguments, environment)
    (self.trial, self.variable, self.version, self.writeLog) = (trial, variable, version, writeLog)
    self.holdingSignals = holdingSignals
  }
}

extension UpgradeOrder {
  /// The path of the program that is executed; nil where it is not known.
  var file: String? { path ?? ProgramFile.ownPath }
}

/// Why nothing was upgraded, for the operator. Everything goes on as before, but for what was done before it failed.
package struct UpgradeRefusal: Error, CustomStringConvertible, Equatable {
  /// For programs.
  enum Code: String {
    case refused
    case notServing = "not-serving"
    case findings
  }

  /// A sentence.
  var reason: String
  var code = Code.refused
  /// What is wrong with the file (`FindingReport.asAnswer`), where that is the reason.
  var findings: JSON?
  /// What was changed before it failed: the sessions were brought to the file, or closed. Parts of a sentence.
  var done: [String] = []

  package init(_ reason: String) {
    self.reason = reason
  }

  fileprivate init(findings: JSON) {
    (reason, code, self.findings) = ("the file has errors", .findings, findings)
  }

  static let stopping = notServing("the gateway is stopping")

  static func notServing(_ reason: String) -> UpgradeRefusal {
    var refusal = UpgradeRefusal(reason)
    refusal.code = .notServing
    return refusal
  }

  package var description: String {
    done.isEmpty ? reason : "\(reason); before that, \(done.joined(separator: ", and "))"
  }
}

/// What a trial has found, from the child to the parent.
package struct TrialReport: Sendable, Recorded, Equatable {
  package var version = ""
  package var sessions = 0
  package var streams = 0
  /// Sessions that would be closed, as their route is gone or means something else: how many, by their close code.
  package var closing: [UInt16: Int] = [:]
  /// What is wrong with the file (`FindingReport.asAnswer`, as text); empty where it can be served. There are no sessions then.
  package var findings = ""
  /// Why the file cannot be served all the same, for the operator; empty where it can. There are no sessions then.
  package var refusal = ""
  /// Whether it takes no commands, as its file says.
  package var isSilent = false

  package init() {}

  /// More than a process can have, and no sum of them is too large.
  private static let counts = 0...(1 << 40)

  package var closed: Int { closing.values.reduce(0, +) }

  package init(from record: inout RecordReader) throws(RecordedFault) {
    var code: UInt16 = 0
    while let field = try record.next() {
      switch field.number {
      case 1: version = try field.text()
      case 2: sessions = try field.integer(in: Self.counts)
      case 3: streams = try field.integer(in: Self.counts)
      case 4: code = try field.integer()
      case 6: closing[code] = try field.integer(in: Self.counts)
      case 5: findings = try field.text()
      case 7: refusal = try field.text()
      case 8: isSilent = try field.flag()
      default: break
      }
    }
    guard !version.isEmpty else { throw RecordedFault("it names no version") }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: version)
    record.add(2, sessions)
    record.add(3, streams)
    for (code, count) in closing {
      record.addAlways(4, UInt64(code))
      record.addAlways(6, UInt64(count))
    }
    record.add(5, text: findings)
    record.add(7, text: refusal)
    record.add(8, isSilent)
  }
}

/// The trial of a program, which is given the sessions as they are and no socket.
enum UpgradeTrial {
  /// How long a program may take to load the file and to read every session.
  static let patience = Duration.seconds(10)

  /// Blocks the thread.
  ///
  /// - Parameter isGivenUp: whether the gateway stops.
  static func run(
    _ program: ProgramFile, _ order: UpgradeOrder, on record: MemoryFile,
    within patience: Duration, unless isGivenUp: () -> Bool
  ) throws -> TrialReport {
    let name = order.arguments.first ?? "sluice"
    let child = try ChildReport.run(
      program, [name] + order.trial + order.arguments.dropFirst(), environment: order.environment,
      input: record.rawValue, within: patience, unless: isGivenUp)
    guard !isGivenUp() else { throw UpgradeRefusal.stopping }
    if let refusal = refusal(of: child) { throw refusal }
    guard child.ending == .exited(0), !child.report.isEmpty else { throw refusal(child, of: order, patience) }
    do throws(RecordedFault) {
      return try RecordReader.read(child.report[...])
    } catch {
      throw UpgradeRefusal("the new program answered something that is no report: \(error)")
    }
  }

  /// What the program says is wrong with the file; nil where it does not.
  private static func refusal(of child: ChildReport) -> UpgradeRefusal? {
    guard child.ending == .exited(1), let report: TrialReport = try? RecordReader.read(child.report[...])
    else { return nil }
    if !report.refusal.isEmpty { return UpgradeRefusal("the file cannot be served: \(report.refusal)") }
    guard !report.findings.isEmpty else { return nil }
    let text = Array(report.findings.utf8)
    return (try? JSON.parse(text.rawBytes)).map { UpgradeRefusal(findings: $0) }
  }

  private static func refusal(
    _ child: ChildReport, of order: UpgradeOrder, _ patience: Duration
  ) -> UpgradeRefusal {
    let how =
      switch child.ending {
      case .exited(0):
        "ended without a report: it has exit code 0, and did not say that it is ready; is it Sluice?"
      case .exited(let code): "ended with exit code \(code)"
      case .signalled(let signal): "was ended by signal \(signal)"
      case .late: "was not ready within \(patience)"
      case .unknown: "has ended, and the system does not say how"
      }
    let said = String(decoding: child.output, as: UTF8.self).split(separator: "\n").suffix(20)
    let text = "the new program \(order.file ?? "") was tried, and \(how)"
    return UpgradeRefusal(said.isEmpty ? text : "\(text); it said:\n\(said.joined(separator: "\n"))")
  }
}
