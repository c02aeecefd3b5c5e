package import JSON

extension Measurement {
  /// The result for programs. Each name contains the unit.
  package var json: JSON {
    var members: [JSON.Member] = [
      .init(key: "workload", value: .string(load.work.name)),
      .init(key: "url", value: .string(url)),
      .init(key: "connections", value: .integer(Int64(load.connections))),
      .init(key: "threads", value: .integer(Int64(load.threads))),
      .init(key: "compressed", value: .bool(load.offersCompression)),
    ]
    members += workMembers
    members += [
      .init(key: "seconds", value: .rounded(seconds)),
      .init(key: "operations", value: .integer(Int64(clamping: tally.operations))),
      .init(key: "per_second", value: .rounded(perSecond)),
      .init(key: "bytes_per_second", value: .rounded(bytesPerSecond)),
      .init(key: "latency_us", value: latencies),
      .init(key: "opened", value: .integer(Int64(opened))),
      .init(key: "opening_seconds", value: opening.map { .rounded($0.inSeconds) } ?? .null),
      .init(key: "failed", value: .integer(Int64(clamping: failed))),
      .init(key: "lost_connections", value: .integer(Int64(clamping: lostConnections))),
      .init(key: "unexpected", value: .integer(Int64(clamping: tally.wrong))),
    ]
    if let fanOut { members.append(.init(key: "integrity", value: fanOut.json)) }
    if let server { members.append(.init(key: "server", value: server.json)) }
    members += [
      .init(key: "generator_percent", value: .rounded(generator.used)),
      .init(key: "generator_waiting_percent", value: .rounded(generator.waited)),
      .init(key: "is_lower_bound", value: .bool(isGeneratorBusy)),
      .init(key: "is_interrupted", value: .bool(isInterrupted)),
      .init(key: "is_good", value: .bool(isGood)),
      .init(key: "problem", value: problem.map { .string($0) } ?? .null),
    ]
    return .object(members)
  }

  private var workMembers: [JSON.Member] {
    let size = JSON.Member(key: "size_bytes", value: .integer(Int64(load.message.size)))
    switch load.work {
    case .echo(let inFlight): return [.init(key: "in_flight", value: .integer(Int64(inFlight))), size]
    case .fanOut(let publishers, let pace):
      let paced: JSON.Member =
        switch pace {
        case .window(let size): .init(key: "window", value: .integer(Int64(size)))
        case .rate(let rate): .init(key: "rate", value: .rounded(rate))
        }
      return [.init(key: "publishers", value: .integer(Int64(publishers))), paced, size]
    case .connect, .idle: return []
    }
  }

  private var latencies: JSON {
    func microseconds(_ nanoseconds: UInt64) -> JSON { .rounded(Double(nanoseconds) / 1000) }
    let percentiles = Self.percentiles.map {
      JSON.Member(key: $0.name, value: microseconds(tally.latencies.percentile($0.percent)))
    }
    return .object(percentiles + [.init(key: "max", value: microseconds(tally.latencies.longest))])
  }
}

extension Measurement.FanOut {
  fileprivate var json: JSON {
    func count(_ key: String, _ value: UInt64) -> JSON.Member {
      .init(key: key, value: .integer(Int64(clamping: value)))
    }
    return .object([
      .init(key: "published_per_second", value: .rounded(publishedPerSecond)),
      count("published", published), count("expected", expected), count("lost", lost),
      count("duplicated", duplicated), count("out_of_order", late),
    ])
  }
}

extension Measurement.Server {
  fileprivate var json: JSON {
    .object([
      .init(key: "percent", value: .rounded(processor)),
      .init(key: "us_per_operation", value: microsecondsPerOperation.map { .rounded($0) } ?? .null),
      .init(key: "resident_before_bytes", value: .integer(Int64(residentBefore))),
      .init(key: "resident_after_bytes", value: .integer(Int64(residentAfter))),
      .init(key: "bytes_per_connection", value: .rounded(bytesPerConnection)),
    ])
  }
}

extension JSON {
  /// Rounded to a thousandth.
  fileprivate static func rounded(_ value: Double) -> JSON {
    .double(value.isFinite ? (value * 1000).rounded() / 1000 : 0)
  }
}
