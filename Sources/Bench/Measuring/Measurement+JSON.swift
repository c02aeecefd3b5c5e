package import JSON

extension Measurement {
  /// The result for programs. Each name contains the unit.
  package var json: JSON {
    let head: JSON = [
      "workload": .string(load.work.name), "url": .string(url), "connections": .number(load.connections),
      "threads": .number(load.threads), "compressed": .bool(load.offersCompression),
    ]
    let figures: JSON = [
      "seconds": .rounded(seconds), "operations": .number(tally.operations),
      "per_second": .rounded(perSecond), "bytes_per_second": .rounded(bytesPerSecond),
      "latency_us": latencies, "opened": .number(opened),
      "opening_seconds": opening.map { .rounded($0.inSeconds) } ?? .null, "failed": .number(tally.failed),
      "lost_connections": .number(tally.lost), "unexpected": .number(tally.wrong),
    ]
    let end: JSON = [
      "generator_percent": .rounded(generator.used), "generator_waiting_percent": .rounded(generator.waited),
      "is_lower_bound": .bool(isGeneratorBusy), "is_interrupted": .bool(isInterrupted),
      "is_good": .bool(isGood), "problem": problem.map { .string($0) } ?? .null,
    ]
    return head.with(parameters).with(figures).with(load.publishers > 0 ? ["integrity": integrity] : [:])
      .with(server.map { ["server": $0.json] } ?? [:]).with(end)
  }

  private var parameters: JSON {
    let size = JSON.number(load.message.size)
    switch load.work {
    case .echo(let inFlight): return ["in_flight": .number(inFlight), "size_bytes": size]
    case .fanOut(let publishers, let pace):
      let pace: JSON =
        switch pace {
        case .window(let size): ["window": .number(size)]
        case .rate(let rate): ["rate": .rounded(rate)]
        }
      let publishing: JSON = ["publishers": .number(publishers)]
      return publishing.with(pace).with(["size_bytes": size])
    case .connect, .idle: return [:]
    }
  }

  private var latencies: JSON {
    func microseconds(_ nanoseconds: UInt64) -> JSON { .rounded(Double(nanoseconds) / 1000) }
    let percentiles = Self.percentiles.map {
      JSON.Member(key: $0.name, value: microseconds(tally.latencies.percentile($0.percent)))
    }
    return .object(percentiles).with(["max": microseconds(tally.latencies.longest)])
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
