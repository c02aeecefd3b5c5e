import ArgumentParser
import Bytes
import Gateway
import GatewayConfig
import Glibc
import JSON
import Logging
import Transport

/// Loads the file and reads the sessions of a running gateway as `serve` would, without a socket, for `sluice upgrade`: the record is the
/// standard input, and the report goes to a descriptor of its own.
struct TakeOverTrialCommand: AsyncParsableCommand {
  static let name = "try-to-take-over"

  static let configuration = CommandConfiguration(
    commandName: name, abstract: "Try what an upgrade would do, for a running gateway.", shouldDisplay: false)

  @Argument(parsing: .postTerminator)
  var words: [String] = []

  func run() async throws {
    guard let serve = try Sluice.parseAsRoot(words) as? ServeCommand else {
      throw CommandFailure("only \"sluice serve\" can take over sessions")
    }
    let record: GatewayRecord
    do {
      record = try GatewayRecord.read(try MemoryFile.take(STDIN_FILENO))
    } catch {
      throw Self.unreadable(error)
    }
    let source = serve.source(after: record)
    let loaded = source.load()
    guard let configuration = loaded.configuration else {
      Output.error(loaded.report.rendered(.text))
      var report = TrialReport()
      report.version = Sluice.configuration.version
      report.findings = loaded.report.asAnswer.text
      try Self.tell(report)
      throw ExitCode(1)
    }
    let report: TrialReport
    do {
      // It logs nothing: nothing is served.
      let gateway = GatewayServer(
        configuration, log: Logger(label: "trial") { _ in SwiftLogNoOpLogHandler() },
        takingOver: HandedRecord(record))
      report = try gateway.trial(of: record, from: source, version: Sluice.configuration.version)
    } catch let failure as GatewayServer.StartFailure {
      throw CommandFailure("\(failure)")
    } catch {
      throw Self.unreadable(error)
    }
    try Self.tell(report)
    guard report.refusal.isEmpty else {
      // A program that executes this one may not know the report's field.
      throw CommandFailure(report.refusal)
    }
  }

  private static func unreadable(_ error: any Error) -> CommandFailure {
    CommandFailure("the sessions of the running gateway cannot be read: \(error)")
  }

  private static func tell(_ report: TrialReport) throws {
    var writer = RecordWriter()
    report.write(to: &writer)
    var left = writer.bytes
    while !left.isEmpty {
      let count = unsafe write(ChildReport.descriptor, left, left.count)
      guard count > 0 || errno == EINTR else { throw ExitCode(1) }
      left.removeFirst(max(0, count))
    }
  }
}
