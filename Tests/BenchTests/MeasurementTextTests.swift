import Testing

@testable import Bench

private func measurement(_ work: Load.Work, generator: (used: Double, waited: Double) = (50, 0))
  -> Measurement
{
  var load = Load(work)
  load.connections = 1
  var tally = Tally()
  tally.main.operations = 1
  return Measurement(
    url: "ws://a/", load: load, opened: 1, opening: .milliseconds(2), seconds: 2, tally: tally,
    generator: generator, isInterrupted: false)
}

struct MeasurementTextTests {
  @Test func `one is not many`() {
    let text = measurement(.fanOut(publishers: 1, .window(4))).text
    #expect(
      text.contains("1 subscriber, 1 publisher, window 4, 64 bytes of text, 1 thread, 2.00 s"), "\(text)")
  }

  @Test func `what publishes with requests names its audience and its refusals`() {
    var publishing = measurement(.publish(inFlight: 4))
    #expect(publishing.text.contains("1 connection, 4 in flight, 64 bytes of text"), "\(publishing.text)")
    #expect(!publishing.text.contains("deliveries"))
    publishing.load.listeners = try? Load.Listeners(Target("ws://a/"), count: 2)
    publishing.tally.refused = [429: 2, 503: 17]
    #expect(publishing.text.contains("1 connection, 4 in flight, 64 bytes of text, 2 listeners"))
    #expect(publishing.text.contains("\ndeliveries "))
    #expect(publishing.text.contains("refused      17 with 503, 2 with 429"))
    #expect(!publishing.isGood)
    #expect(
      measurement(.events(publishers: 1, .rate(5))).text.contains("1 stream, 1 publisher, 5.00 messages/s"))
  }

  @Test func `how fast connections were opened is told`() {
    #expect(measurement(.idle).text.contains("1 opened in 2.00 ms (500/s), 0 failed"))
  }

  @Test func `what was compressed is told`() {
    let plain = measurement(.echo(inFlight: 1))
    #expect(!plain.text.contains("compressed"))
    var load = plain.load
    load.offersCompression = true
    let compressed = Measurement(
      url: plain.url, load: load, opened: 1, opening: nil, seconds: 2, tally: Tally(), generator: (0, 0),
      isInterrupted: false)
    #expect(compressed.text.contains("64 bytes of text, compressed, 1 thread"))
  }

  @Test(arguments: [(91.0, 0.0), (60, 31), (0, 95)])
  func `a generator that had work all the time is told`(_ used: Double, _ waited: Double) {
    let busy = measurement(.echo(inFlight: 1), generator: (used, waited))
    #expect(busy.remarks.count == 1)
    #expect(
      busy.remarks.first?.hasPrefix("warning: the load generator was busy for \(Int(used + waited)) %")
        == true)
    #expect(busy.remarks.first?.contains("waited for a processor for") == (waited > 0))
    #expect(busy.remarks.first?.contains("Try --threads 2") == true)
  }

  @Test func `a generator with time left is not`() {
    #expect(measurement(.echo(inFlight: 1), generator: (60, 30)).remarks.isEmpty)
  }

  @Test func `what went wrong and what was stopped is told`() {
    var stopped = measurement(.idle)
    stopped.isInterrupted = true
    stopped.tally.failed = 1
    stopped.problem = "why"
    #expect(
      stopped.remarks == [
        "the run was stopped early: the figures cover the time until then", "first problem: why",
      ])
  }

  @Test func `where nothing arrives, what was waited for is told`() {
    var echo = measurement(.echo(inFlight: 1))
    #expect(echo.isGood && echo.remarks.isEmpty)
    echo.tally.main.operations = 0
    #expect(!echo.isGood)
    #expect(echo.remarks.map { $0.prefix(32) } == ["nothing came back within 2.00 s:"])
    for (work, words) in [
      (.fanOut(publishers: 1, .window(1)), "subscribers: a route for this load"),
      (.events(publishers: 1, .rate(5)), "streams of ws://a/: is the group that is published to"),
      (.publish(inFlight: 1), "listeners of ws://b/: is the group that is published to"),
    ] as [(Load.Work, String)] {
      var silent = measurement(work)
      silent.load.listeners = try? Load.Listeners(Target("ws://b/"), count: 1)
      silent.tally.publishedInAll = 1
      #expect(!silent.isGood)
      #expect(silent.remarks.count == 1)
      #expect(
        silent.remarks.first?.hasPrefix("nothing arrived: 1 message published, and none came to the \(words)")
          == true, "\(silent.remarks)")
      silent.tally.delivered = 1
      #expect(silent.remarks.isEmpty)
    }
  }

  @Test func `connections that were opened again are told`() {
    var publishing = measurement(.publish(inFlight: 1))
    #expect(publishing.text.contains(" 0 lost\n"))
    publishing.tally.reopened = 3
    #expect(publishing.text.contains(" 0 lost, 3 reopened\n"))
    #expect(publishing.isGood)
  }

  @Test(arguments: [
    (0.0, "0.00"), (0.126, "0.13"), (12.34, "12.3"), (123.5, "124"), (-0.5, "-0.50"), (-0.001, "0.00"),
  ])
  func `a number has the digits that mean something`(_ value: Double, _ text: String) {
    #expect(Figure.number(value) == text)
  }

  @Test func `times and sizes have their unit`() {
    #expect(Figure.time(nanoseconds: 412_000) == "412 µs")
    #expect(Figure.time(nanoseconds: 1_250_000) == "1.25 ms")
    #expect(Figure.time(nanoseconds: 2_100_000_000) == "2.10 s")
    #expect([194.0, 4300, 12_897_485].map { Figure.size($0) } == ["194 B", "4.2 KiB", "12.3 MiB"])
  }
}
