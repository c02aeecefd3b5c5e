import ArgumentParser
import Bytes
import Gateway
import GatewayConfig
import JSON
import Transport

/// Which running gateway a command speaks with.
struct RunningGatewayOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "The configuration file that the gateway was started with; it may be broken by now.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var path = ConfigurationFile.standard

  @Option(help: ArgumentHelp("The process that is meant, if several run with the file.", valueName: "number"))
  var pid: Int32?

  @Option(
    help: ArgumentHelp(
      "How long the gateway may give no sign of life. What takes longer is waited for.", valueName: "time"))
  var timeout = Self.patience.written

  private static let patience = Duration.seconds(5)
  private static let times = Duration.seconds(1)...Duration.seconds(3600)

  func validate() throws {
    guard Duration(written: timeout, in: Self.times) != nil else {
      throw ValidationError("--timeout \(timeout) is not a time from 1s to 1h, such as 30s.")
    }
  }

  /// The gateways that are meant: all of the file, or the one of `--pid`, whichever file that serves.
  ///
  /// - Throws: a sentence, where there is none.
  func all() async throws(CommandFailure) -> [AdminClient] {
    let search = AdminSearch(for: path, environment: Environment.variables)
    let found: [RunningGateway]
    do throws(AdminSearch.Nobody) {
      found = try search.find()
    } catch {
      throw CommandFailure("\(error)", code: error.code)
    }
    guard let pid else { return try await serving(search, found) }
    let meant = found.filter { $0.process?.process == pid }
    guard meant.isEmpty else { return meant.map(client) }
    throw CommandFailure(
      "process \(pid) is no gateway of \(path); \(Self.words(for: found))", code: "no-gateway")
  }

  /// Those that serve the file: two files may say the same address, and what is meant for the gateway of the one is not done to the other.
  private func serving(
    _ search: AdminSearch, _ found: [RunningGateway]
  ) async throws(CommandFailure) -> [AdminClient] {
    var serving: [AdminClient] = []
    var other: CommandFailure?
    for gateway in found {
      let client = client(of: gateway)
      guard gateway.isWritten else {
        serving.append(client)
        continue
      }
      let served = try await client.servedFile()
      if search.isServed(by: served) {
        serving.append(client)
      } else {
        other = CommandFailure(
          "the gateway at \(gateway.address) serves \(served.printable), not \(search.path)",
          code: "other-file")
      }
    }
    if serving.isEmpty, let other { throw other }
    return serving
  }

  /// The one that is meant.
  func one() async throws(CommandFailure) -> AdminClient {
    let found = try await all()
    guard found.count == 1 else {
      throw CommandFailure(
        "say which with --pid: \(Self.words(for: found.map(\.gateway)))", code: "several-gateways")
    }
    return found[0]
  }

  func client(of gateway: RunningGateway) -> AdminClient {
    AdminClient(gateway: gateway, patience: Duration(written: timeout, in: Self.times) ?? Self.patience)
  }

  /// `2 gateways run with it, process 4242 and process 4243`
  private static func words(for gateways: [RunningGateway]) -> String {
    let processes = gateways.map { gateway in
      gateway.process.map { "process \($0.process)" } ?? "\(gateway.address)"
    }
    return
      "\(gateways.count) gateway\(gateways.count == 1 ? " runs" : "s run") with the file, \(processes.joined(separator: " and "))"
  }
}

/// How a command prints an answer.
enum AnswerFormat: String, CaseIterable, ExpressibleByArgument {
  case text, json
}

extension AdminClient.Answer {
  /// Prints the answer as it came, where that was asked for.
  ///
  /// - Returns: false where it is to be printed for people.
  func isPrinted(as format: AnswerFormat) -> Bool {
    guard format == .json else { return false }
    Output.show(json)
    return true
  }
}
