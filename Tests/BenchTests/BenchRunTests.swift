import GatewayConfig
import GatewayTestSupport
import Glibc
import LayerTestSupport
import Logging
import Testing

import struct Bench.Measurement

@testable import Bench
@testable import Gateway

private let routes = """
  installed_apps: [broadcast, chat, echo]
  channel_layers: {default: {backend: memory}}
  server: {threads: 1}
  auth: {users: {jwt: {secret: 0123456789abcdef0123456789abcdef, algorithms: [HS256]}}}
  applications:
    main:
      http:
        - {path: publish, publish: {groups: [news, full], anonymous: true}}
        - {path: mine, publish: {groups: [news], token: 0123456789abcdef0123456789abcdef}}
        - {path: events, events: news}
      websocket:
        - {path: echo, consumer: echo}
        - {path: news, consumer: broadcast, group: news}
        - {path: silent, consumer: broadcast, group: silent, publish: nobody}
        - {path: chat, consumer: chat, group: chat}
        - {path: closed, consumer: echo, auth: users, refusals: close}
  """

/// Serves the routes on a free port, and puts a load on one of them.
private func measure(_ path: String, _ load: Load) async throws -> Measurement {
  try await timed(path, load).measurement
}

/// The same for loads that publish with requests.
///
/// - Parameter complete: adds what needs the address of the server, `127.0.0.1:8000`.
private func measureRequests(
  _ url: (String) throws -> Target, _ load: Load, _ complete: (String, inout Load) throws -> Void
) async throws -> Measurement {
  let configuration = try ConfigurationLoader.configuration(of: routes).onAnyPort
  return try await GatewayServer(configuration, log: .quiet).serving { port in
    var load = load
    load.message = MessageShape(textSize: 64, template: MessageShape.publishing(to: "news"))
    try complete("127.0.0.1:\(port)", &load)
    return try await Bench.run(load, against: try url("127.0.0.1:\(port)"))
  }
}

/// The same, with the time from the beginning of the load to its end.
private func timed(_ path: String, _ load: Load) async throws -> (measurement: Measurement, elapsed: Duration)
{
  let configuration = try ConfigurationLoader.configuration(of: routes).onAnyPort
  return try await GatewayServer(configuration, log: .quiet).serving { port in
    let start = ContinuousClock.now
    let measurement = try await Bench.run(load, against: try Target("ws://127.0.0.1:\(port)/\(path)"))
    return (measurement, ContinuousClock.now - start)
  }
}

private func short(_ work: Load.Work, connections: Int = 5, threads: Int = 1) -> Load {
  var load = Load(work)
  load.connections = connections
  load.threads = threads
  load.warmUp = .milliseconds(20)
  load.duration = .milliseconds(200)
  load.server = getpid()
  return load
}

struct BenchRunTests {
  @Test(arguments: [(1, 64, 1), (16, 5, 1), (3, 100_000, 2)])
  func `everything comes back`(_ inFlight: Int, _ size: Int, _ threads: Int) async throws {
    var load = short(.echo(inFlight: inFlight), threads: threads)
    load.message.size = size
    let measurement = try await measure("echo", load)
    #expect(measurement.isGood, "\(measurement.text)")
    #expect(measurement.opened == 5)
    #expect(measurement.tally.main.operations > 0)
    #expect(measurement.tally.main.bytes == measurement.tally.main.operations * UInt64(size))
    #expect(measurement.tally.main.latencies.count == measurement.tally.main.operations)
  }

  @Test(arguments: [
    (1, Load.Pace.window(1), 1), (2, .window(16), 1), (2, .window(3), 3), (1, .rate(500), 1),
    (2, .rate(500), 2),
  ])
  func `every subscriber gets every message`(
    _ publishers: Int, _ pace: Load.Pace, _ threads: Int
  ) async throws {
    let measurement = try await measure(
      "news", short(.fanOut(publishers: publishers, pace), threads: threads))
    #expect(measurement.isGood, "\(measurement.text)")
    #expect(measurement.tally.publishedInAll > 0)
    #expect(measurement.expected == measurement.tally.publishedInAll * 5)
    #expect(measurement.tally.delivered == measurement.expected)
    #expect(measurement.opened == 5 + publishers)
  }

  @Test func `a group that answers something else is not good`() async throws {
    let measurement = try await measure("silent", short(.fanOut(publishers: 1, .rate(100))))
    #expect(!measurement.isGood)
    #expect(measurement.tally.wrong > 0)
    #expect(measurement.lost == measurement.expected)
    #expect(measurement.problem?.contains("a publisher received it") == true)
  }

  @Test func `a window goes on behind what is lost`() async throws {
    // Chat answers what is no JSON to the sender alone: every message is lost.
    var load = short(.fanOut(publishers: 1, .window(1)))
    load.duration = .milliseconds(1500)
    let measurement = try await measure("chat", load)
    #expect(measurement.tally.publishedInAll > 1, "\(measurement.text)")
  }

  @Test func `connections are opened again and again`() async throws {
    let measurement = try await measure("echo", short(.connect))
    #expect(measurement.isGood, "\(measurement.text)")
    #expect(measurement.tally.main.operations > 5)
    #expect(measurement.opening == nil)
    #expect(!measurement.text.contains("opened in"))
  }

  @Test func `idle counts its connections, and only the held time`() async throws {
    var load = short(.idle)
    load.warmUp = .milliseconds(500)
    let (measurement, elapsed) = try await timed("news", load)
    #expect(measurement.isGood, "\(measurement.text)")
    #expect((measurement.tally.main.operations, measurement.opened) == (5, 5))
    // They follow each other, whatever else the machine does meanwhile.
    let opening = try #require(measurement.opening)
    #expect(measurement.seconds > 0)
    #expect(opening + load.warmUp + .seconds(measurement.seconds) <= elapsed)
    #expect(measurement.server.map { $0.residentAfter > 0 } == true)
  }

  @Test(arguments: [(1, 1), (8, 2)])
  func `every request is answered`(_ inFlight: Int, _ threads: Int) async throws {
    let load = short(.publish(inFlight: inFlight), threads: threads)
    let measurement = try await measureRequests({ try Target("http://\($0)/publish", .publishing) }, load) {
      _, _ in
    }
    #expect(measurement.isGood, "\(measurement.text)")
    #expect(measurement.opened == 5)
    // A busy machine may answer none within the measured time.
    #expect(measurement.tally.publishedInAll >= 5 * UInt64(inFlight))
    #expect(measurement.tally.publishedInAll >= measurement.tally.main.operations)
  }

  @Test(arguments: [("ws", "news", 1), ("http", "events", 1), ("ws", "news", 2)])
  func `listeners get what requests publish`(_ scheme: String, _ path: String, _ threads: Int) async throws {
    let load = short(.publish(inFlight: 2), threads: threads)
    let measurement = try await measureRequests({ try Target("http://\($0)/publish", .publishing) }, load) {
      $1.listeners = Load.Listeners(
        try Target("\(scheme)://\($0)/\(path)", scheme == "ws" ? .webSocket : .events), count: 7)
    }
    #expect(measurement.isGood, "\(measurement.text)")
    #expect(measurement.opened == 12)
    #expect(measurement.tally.publishedInAll > 0)
    #expect(measurement.tally.deliveries.operations <= measurement.tally.delivered)
    #expect(measurement.tally.delivered == measurement.tally.publishedInAll * 7)
  }

  @Test(arguments: [(1, Load.Pace.window(4), 1), (2, .rate(200), 2)])
  func `every stream gets every event`(_ publishers: Int, _ pace: Load.Pace, _ threads: Int) async throws {
    let load = short(.events(publishers: publishers, pace), threads: threads)
    let measurement = try await measureRequests({ try Target("http://\($0)/events", .events) }, load) {
      $1.publishing = try Target("http://\($0)/publish", .publishing)
    }
    #expect(measurement.isGood, "\(measurement.text)")
    #expect(measurement.tally.publishedInAll > 0)
    #expect(measurement.tally.delivered == measurement.tally.publishedInAll * 5)
    #expect(measurement.opened == 5 + publishers)
  }

  @Test(arguments: ["mine", "nope", "news"])
  func `a request that is refused is a failure`(_ path: String) async throws {
    await #expect(throws: BenchFailure.self) {
      try await measureRequests(
        { try Target("http://\($0)/\(path)", .publishing) }, short(.publish(inFlight: 1))
      ) { _, _ in }
    }
  }

  @Test func `a stream that is none is a failure`() async throws {
    await #expect(throws: BenchFailure.self) {
      try await measureRequests(
        { try Target("http://\($0)/publish", .events) }, short(.events(publishers: 1, .window(1)))
      ) { $1.publishing = try Target("http://\($0)/publish", .publishing) }
    }
  }

  @Test func `a refusal is a failure`() async throws {
    await #expect(throws: BenchFailure.self) { try await measure("nope", short(.echo(inFlight: 1))) }
  }

  @Test(arguments: [Load.Work.echo(inFlight: 1), .connect, .idle, .fanOut(publishers: 1, .window(1))])
  func `a refusal behind the handshake is one, too`(_ work: Load.Work) async throws {
    let failure = await #expect(throws: BenchFailure.self) { try await measure("closed", short(work)) }
    #expect(
      failure?.description.hasSuffix("the server refused a connection with 4401: a token is needed") == true)
  }

  @Test func `a load that cannot be is a failure`() async throws {
    var load = short(.fanOut(publishers: 1, .window(1)))
    load.message.size = 4
    await #expect(throws: BenchFailure.self) { try await measure("news", load) }
  }
}
