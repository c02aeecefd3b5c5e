package import JSON

extension Measurement {
  /// The result for programs. Each name contains the unit.
  package var json: JSON {
    let head: JSON = [
      "workload": .string(load.work.name), "url": .string(url), "connections": .number(load.connections),
      "threads": .number(load.threads), "compressed": .bool(load.offersCompression),
    ]
    let figures: JSON = [
      "seconds": .rounded(seconds), "operations": .number(tally.main.operations),
      "per_second": .rounded(perSecond), "bytes_per_second": .rounded(perSecond(tally.main.bytes)),
      "latency_us": Self.json(of: tally.main.latencies), "opened": .number(opened),
      "opening_seconds": opening.map { .rounded($0.inSeconds) } ?? .null,
      "opened_per_second": openedPerSecond.map { .rounded($0) } ?? .null, "failed": .number(tally.failed),
      "lost_connections": .number(tally.lost), "reopened_connections": .number(tally.reopened),
      "unexpected": .number(tally.wrong),
    ]
    let end: JSON = [
      "generator_percent": .rounded(generator.used), "generator_waiting_percent": .rounded(generator.waited),
      "is_lower_bound": .bool(isGeneratorBusy), "is_interrupted": .bool(isInterrupted),
      "is_good": .bool(isGood), "problem": problem.map { .string($0) } ?? .null,
    ]
    return head.with(parameters).with(figures).with(publishing)
      .with(load.receivers > 0 ? ["integrity": integrity] : [:])
      .with(server.map { ["server": $0.json] } ?? [:]).with(end)
  }

  private var parameters: JSON {
    let size = JSON.number(load.publishesWithRequests ? load.message.textSize : load.message.size)
    switch load.work {
    case .echo(let inFlight): return ["in_flight": .number(inFlight), "size_bytes": size]
    case .fanOut(let publishers, let pace), .events(let publishers, let pace):
      let pace: JSON =
        switch pace {
        case .window(let size): ["window": .number(size)]
        case .rate(let rate): ["rate": .rounded(rate)]
        }
      let publishing: JSON = ["publishers": .number(publishers)]
      return publishing.with(pace).with(["size_bytes": size])
    case .publish(let inFlight):
      return ["in_flight": .number(inFlight), "listeners": .number(load.receivers), "size_bytes": size]
    case .connect, .idle: return [:]
    }
  }

  /// Of loads that publish with requests.
  private var publishing: JSON {
    guard load.publishesWithRequests else { return [:] }
    let refused = tally.refused.sorted { $0.key < $1.key }.map {
      JSON.Member(key: "\($0.key)", value: .number($0.value))
    }
    let answers: JSON = ["refused": .object(refused), "unanswered": .number(unanswered)]
    guard case .publish = load.work, load.receivers > 0 else { return answers }
    return answers.with([
      "deliveries": [
        "operations": .number(tally.deliveries.operations),
        "per_second": .rounded(perSecond(tally.deliveries.operations)),
        "bytes_per_second": .rounded(perSecond(tally.deliveries.bytes)),
        "latency_us": Self.json(of: tally.deliveries.latencies),
      ]
    ])
  }

  private static func json(of latencies: Latencies) -> JSON {
    func microseconds(_ nanoseconds: UInt64) -> JSON { .rounded(Double(nanoseconds) / 1000) }
    let percentiles = percentiles.map {
      JSON.Member(key: $0.name, value: microseconds(latencies.percentile($0.percent)))
    }
    return .object(percentiles).with(["max": microseconds(latencies.longest)])
  }

  private var integrity: JSON {
    [
      "published_per_second": .rounded(publishedPerSecond), "published": .number(tally.publishedInAll),
      "expected": .number(expected), "lost": .number(lost), "duplicated": .number(tally.duplicated),
      "out_of_order": .number(tally.late),
    ]
  }
}

extension Measurement.Server {
  fileprivate var json: JSON {
    [
      "percent": .rounded(processor),
      "us_per_operation": microsecondsPerOperation.map { .rounded($0) } ?? .null,
      "resident_before_bytes": .number(residentBefore), "resident_after_bytes": .number(residentAfter),
      "bytes_per_connection": .rounded(bytesPerConnection),
    ]
  }
}

extension JSON {
  /// Rounded to a thousandth.
  fileprivate static func rounded(_ value: Double) -> JSON {
    .double(value.isFinite ? (value * 1000).rounded() / 1000 : 0)
  }
}
