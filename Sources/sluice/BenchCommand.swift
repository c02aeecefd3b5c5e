import ArgumentParser
import Bench

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure a WebSocket server under load, or what publishes to it.",
    discussion: """
      Every run ends by itself. A signal ends it early, and the figures until then are printed. Exit code 1: the server cannot \
      be reached or refuses connections or requests, or messages were lost, duplicated or wrong.

      With wss:// and https:// the certificate has to be one that the system trusts, unless --cacert or --insecure says \
      otherwise. Handshakes of TLS are never resumed; except in connect and idle, they come before the measured time.

      EXAMPLES
        sluice bench echo ws://127.0.0.1:8000/ws/echo/
        sluice bench fanout --json ws://127.0.0.1:8000/ws/chat/lobby/
        sluice bench connect ws://127.0.0.1:8000/ws/echo/
        sluice bench idle --connections 10000 --pid 4711 ws://127.0.0.1:8000/ws/echo/
        sluice bench echo --cacert tls/fullchain.pem wss://localhost:8443/ws/echo/
        sluice bench publish --group chat_lobby --token-env PUBLISH_TOKEN http://127.0.0.1:8000/api/publish/
        sluice bench events --publish http://127.0.0.1:8000/api/publish/ --group news --token-env PUBLISH_TOKEN \
      http://127.0.0.1:8000/events/news/
      """,
    subcommands: [
      BenchEchoCommand.self, BenchFanOutCommand.self, BenchConnectCommand.self, BenchIdleCommand.self,
      BenchPublishCommand.self, BenchEventsCommand.self,
    ])
}

/// A command for one kind of load. Its options describe the load.
protocol BenchWorkload: AsyncParsableCommand, JSONPrinting {
  var common: BenchOptions { get }
  var work: Load.Work { get }
  /// What is spoken with the URL.
  var speech: Target.Speech { get }

  /// Adds what only this command knows.
  func complete(_ load: inout Load) throws(BenchFailure)
}

extension BenchWorkload {
  var speech: Target.Speech { .webSocket }

  func complete(_ load: inout Load) {}

  func validate() throws { try requireSense() }

  func requireSense() throws {
    try check(common.url, for: speech)
    let fault: String?
    do throws(BenchFailure) {
      fault = try load().fault
    } catch {
      fault = error.description
    }
    if let fault { throw ValidationError("\(fault).") }
  }

  private func load() throws(BenchFailure) -> Load {
    var load = common.load(work)
    try complete(&load)
    return load
  }

  func run() async throws {
    do {
      try await common.run(load(), against: Target(common.url, speech))
    } catch let failure as BenchFailure {
      throw CommandFailure("\(failure)")
    }
  }
}

struct BenchEchoCommand: BenchWorkload {
  static let configuration = CommandConfiguration(
    commandName: "echo", abstract: "Send messages to an echo route, and measure the answers.",
    discussion: """
      EXAMPLES
        sluice bench echo ws://127.0.0.1:8000/ws/echo/
        sluice bench echo --connections 50 --in-flight 16 --size 1024 --binary ws://127.0.0.1:8000/ws/echo/
      """)

  @OptionGroup var common: BenchOptions
  @OptionGroup var handshake: BenchHandshakeOptions
  @OptionGroup var message: BenchMessageOptions

  @Option(help: "Messages under way on each connection, 1 to 65536.")
  var inFlight = 1

  func validate() throws {
    try check(inFlight, in: 1...65536, "--in-flight")
    try requireSense()
  }

  var work: Load.Work { .echo(inFlight: inFlight) }

  func complete(_ load: inout Load) {
    handshake.complete(&load)
    load.message = message.shape
  }
}

struct BenchFanOutCommand: BenchWorkload {
  static let configuration = CommandConfiguration(
    commandName: "fanout", abstract: "Publish to a group, and measure the deliveries to all its subscribers.",
    discussion: """
      Every message carries its number and its time, so that lost, duplicated and reordered messages are counted. The \
      connections of --connections are the subscribers.

      EXAMPLES
        sluice bench fanout ws://127.0.0.1:8000/ws/news/
        sluice bench fanout --connections 1000 --rate 200 --json ws://127.0.0.1:8000/ws/chat/lobby/
      """)

  @OptionGroup var common: BenchOptions
  @OptionGroup var handshake: BenchHandshakeOptions
  @OptionGroup var message: BenchMessageOptions
  @OptionGroup var pace: BenchPaceOptions

  var work: Load.Work { .fanOut(publishers: pace.publishers, pace.pace) }

  func complete(_ load: inout Load) {
    handshake.complete(&load)
    load.message = message.shape
  }
}

struct BenchConnectCommand: BenchWorkload {
  static let configuration = CommandConfiguration(
    commandName: "connect",
    abstract: "Open and close connections again and again, and measure the handshakes.",
    discussion: """
      The times run from the first packet to the end of the handshake.

      EXAMPLES
        sluice bench connect --connections 50 ws://127.0.0.1:8000/ws/echo/
      """)

  @OptionGroup var common: BenchOptions
  @OptionGroup var handshake: BenchHandshakeOptions

  var work: Load.Work { .connect }

  func complete(_ load: inout Load) { handshake.complete(&load) }
}

struct BenchIdleCommand: BenchWorkload {
  static let configuration = CommandConfiguration(
    commandName: "idle", abstract: "Open connections and hold them without sending anything.",
    discussion: """
      With --pid the result says how much memory each connection costs the server.

      EXAMPLES
        sluice bench idle --connections 10000 --pid 4711 ws://127.0.0.1:8000/ws/echo/
      """)

  @OptionGroup var common: BenchOptions
  @OptionGroup var handshake: BenchHandshakeOptions

  var work: Load.Work { .idle }

  func complete(_ load: inout Load) { handshake.complete(&load) }
}
