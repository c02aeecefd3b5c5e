import ArgumentParser
import Bench
import JSON
import Transport
import UnixSignals
import WebSocketCore

/// The options of every load.
struct BenchOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "The URL of the route: ws:// or wss://; http:// or https:// for publish and events.", valueName: "url"))
  var url: String

  @Option(help: "Number of connections, 1 to 200000.")
  var connections = 100

  @Option(help: "Measured time in seconds, 0.1 to 3600.")
  var seconds = 5.0

  @Option(help: "Seconds of the same load before the measured time, 0 to 600.")
  var warmUp = 1.0

  @Option(help: "Seconds within which all connections must be open, 0.1 to 600.")
  var timeout = 30.0

  @Option(help: "Threads of the load generator, 1 to 64; from 2 on, publishers have a thread of their own.")
  var threads = 1

  @Option(
    help: ArgumentHelp(
      "A header of each request, that of a handshake as well; may be given several times.",
      valueName: "name: value"))
  var header: [String] = []

  @OptionGroup var certificates: TrustOptions

  @Option(help: "Process id of the server on this machine, to measure its processor time and memory.")
  var pid: Int32?

  @Option(help: "Format of the result: text or json.")
  var format = Format.text

  @Flag(help: "Do not print progress on standard error.")
  var quiet = false

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text, json
  }

  func validate() throws {
    try check(connections, in: 1...200_000, "--connections")
    try check(threads, in: 1...64, "--threads")
    try check(seconds, in: 0.1...3600, "--seconds")
    try check(warmUp, in: 0...600, "--warm-up")
    try check(timeout, in: 0.1...600, "--timeout")
    if let pid { try check(pid, in: 1...(.max), "--pid") }
    for field in header where HeaderField(argument: field) == nil {
      throw ValidationError("--header must be \"Name: value\", not \"\(field)\".")
    }
  }

  func load(_ work: Load.Work) -> Load {
    var load = Load(work)
    load.connections = connections
    load.duration = .seconds(seconds)
    load.warmUp = .seconds(warmUp)
    load.openTimeout = .seconds(timeout)
    load.threads = threads
    load.fields = header.compactMap { HeaderField(argument: $0) }
    load.server = pid
    load.trust = certificates.trust
    return load
  }

  /// Runs the load, prints the result, and ends with exit code 1 if something was wrong.
  func run(_ load: Load, against target: Target) async throws {
    let measurement: Measurement
    do {
      measurement = try await measured(load, target)
    } catch {
      throw CommandFailure("\(error)")
    }
    switch format {
    case .text: Output.print(measurement.text)
    case .json:
      Output.print(measurement.json.text + "\n")
      for sentence in measurement.remarks { Output.error(sentence) }
    }
    if !measurement.isGood { throw ExitCode(1) }
  }

  /// A signal cancels the run, which then returns the measurement until then.
  private func measured(_ load: Load, _ target: Target) async throws -> Measurement {
    let isQuiet = quiet
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
    return try await withThrowingTaskGroup(of: Measurement?.self) { tasks in
      tasks.addTask {
        try await Bench.run(load, against: target) { if !isQuiet { Output.error($0.text) } }
      }
      tasks.addTask {
        for await _ in signals { return nil }
        return nil
      }
      while let ended = try await tasks.next() {
        tasks.cancelAll()
        if let measurement = ended { return measurement }
      }
      throw BenchFailure("stopped")
    }
  }
}

/// The options of loads that speak WebSocket with the URL.
struct BenchHandshakeOptions: ParsableArguments {
  @Option(help: "A subprotocol to offer; may be given several times.")
  var subprotocol: [String] = []

  @Flag(
    help:
      "Offer permessage-deflate and require it: the server compresses its messages, the load generator does not."
  )
  var compress = false

  func validate() throws {
    for name in subprotocol where HeaderField(argument: "\(name): a") == nil {
      throw ValidationError("\"\(name)\" is not a valid name for a subprotocol.")
    }
  }

  func complete(_ load: inout Load) {
    load.subprotocols = subprotocol
    load.offersCompression = compress
  }
}

/// Who publishes to a group, and when.
struct BenchPaceOptions: ParsableArguments {
  @Option(help: "Connections that publish, 1 to 1000.")
  var publishers = 1

  @Option(help: "Messages of each publisher under way, 1 to 65536; 1 without --rate.")
  var window: Int?

  @Option(help: "Messages per second of all publishers together, 0.1 to 1000000; instead of --window.")
  var rate: Double?

  func validate() throws {
    try check(publishers, in: 1...1000, "--publishers")
    if let window { try check(window, in: 1...65536, "--window") }
    if let rate {
      guard window == nil else { throw ValidationError("--window and --rate cannot be used together.") }
      guard rate >= 0.1, rate <= 1_000_000 else { throw ValidationError("--rate must be 0.1 to 1000000.") }
    }
  }

  var pace: Load.Pace { rate.map { .rate($0) } ?? .window(window ?? 1) }
}

/// The options of loads that send messages.
struct BenchMessageOptions: ParsableArguments {
  @Option(help: "Bytes of each message, 1 to 16777216, including the template.")
  var size = 64

  @Flag(help: "Send binary messages instead of text.")
  var binary = false

  @Flag(help: ArgumentHelp("Wrap each message for a chat route: \(MessageShape.json)"))
  var json = false

  @Option(
    help: ArgumentHelp("Text of each message; it must contain \(MessageShape.place) once.", valueName: "text")
  )
  var template: String?

  func validate() throws {
    try check(size, in: 1...(16 << 20), "--size")
    if json, template != nil { throw ValidationError("--json and --template cannot be used together.") }
  }

  var shape: MessageShape {
    MessageShape(kind: binary ? .binary : .text, size: size, template: json ? MessageShape.json : template)
  }
}

/// Requires a scheme of the speech where the URL has one.
func check(_ url: String, for speech: Target.Speech, _ option: String? = nil) throws {
  guard let scheme = url.firstRange(of: "://").map({ url[..<$0.lowerBound].lowercased() }) else { return }
  let schemes = speech == .webSocket ? ["ws", "wss"] : ["http", "https"]
  guard !schemes.contains(scheme) else { return }
  throw ValidationError(
    "\(option.map { "The URL of \($0)" } ?? "The URL") must begin with \(schemes[0]):// or \(schemes[1])://, not with \(scheme)://."
  )
}

func check<Value: Comparable>(_ value: Value, in range: ClosedRange<Value>, _ option: String) throws {
  guard range.contains(value) else {
    throw ValidationError("\(option) must be \(range.lowerBound) to \(range.upperBound).")
  }
}

extension HeaderField {
  /// `Name: value`, without characters that would end the line.
  fileprivate init?(argument: String) {
    guard let colon = argument.firstIndex(of: ":") else { return nil }
    let name = argument[..<colon]
    let value = argument[argument.index(after: colon)...].drop { $0 == " " }
    guard !name.isEmpty, name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
      value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { return nil }
    self.init(name: String(name), value: String(value))
  }
}

extension Bench.Stage {
  fileprivate var text: String {
    switch self {
    case .opening(let count, let all): "opening: \(count) of \(all)"
    case .warmingUp(let perSecond): "warming up: \(perSecond)/s"
    case .measuring(let second, let perSecond): "\(second) s: \(perSecond)/s"
    case .waitingForLateOnes(let count): "waiting for \(count) deliveries"
    }
  }
}
